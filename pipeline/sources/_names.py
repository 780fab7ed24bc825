"""What members of containers may not be called, and what they may not be."""

from pathlib import PurePosixPath

from pipeline.errors import PictureError

NESTED = {
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"7z\xbc\xaf": "7-Zip",
    b"Rar!": "RAR",
    b"\x28\xb5\x2f\xfd": "Zstandard",
}
"""What archives begin with."""


def unsafe(name: str) -> PictureError | None:
    """What is wrong with a name that leads, or could lead, out of where it lies."""
    if "\0" in name:
        return PictureError("unsafe_name", "it has a zero byte")
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or parts[0].endswith(":"):
        return PictureError("unsafe_name", "an absolute path")
    out = ".." in parts
    if out or not PurePosixPath(name).name:
        return PictureError("unsafe_name", "it leads out of its folder" if out else "it names a folder")
    return None


def nested(data: bytes) -> str | None:
    """The kind of archive that bytes are, if they are one."""
    if data[257:262] == b"ustar":
        return "tar"
    return next((kind for magic, kind in NESTED.items() if data.startswith(magic)), None)
