"""The words and tags that captions are made of, for completion while typing."""

import re
from collections import Counter
from collections.abc import Iterable

MOST = 3000
"""How many terms are offered at most."""
_WORD = re.compile(r"[^\W\d_][\w'\u2019-]{2,}")


def terms(captions: Iterable[str]) -> list[str]:
    """Tags (what stands between commas, up to three words) and words of three letters or more, the most used first."""
    counts: Counter[str] = Counter()
    for caption in captions:
        tags = {tag.strip() for tag in caption.split(",")} if "," in caption else set()
        counts.update(tag for tag in tags if 2 < len(tag) <= 40 and len(tag.split()) <= 3)
        counts.update(set(_WORD.findall(caption)) - tags)
    return [term for term, _ in sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:MOST]]
