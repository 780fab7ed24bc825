"""What a run did, as data, and the one HTML page that shows it to a person."""
