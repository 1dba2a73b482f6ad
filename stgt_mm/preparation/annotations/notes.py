"""Notes on what a converter met: counted, shown at the end, no reason to stop."""

EXAMPLES = 3
NO_WORD = 'captions without a letter or digit, left out'


def has_word(text: str) -> bool:
    """Says whether a caption has a letter or a digit; records without one are refused."""
    return any(letter.isalnum() for letter in text)


class Notes:
    """Counts what a converter met and its user should know, with the first places of each."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.examples: dict[str, list[str]] = {}

    def add(self, what: str, place: str) -> None:
        """Counts one more; ``what`` follows a number: what was met, in the plural, and what was done."""
        self.counts[what] = self.counts.get(what, 0) + 1
        places = self.examples.setdefault(what, [])
        if len(places) < EXAMPLES:
            places.append(place)

    def accepts(self, caption: str, place: str) -> bool:
        """Says whether a caption can be used, and counts one that cannot."""
        if has_word(caption):
            return True
        self.add(NO_WORD, place)
        return False

    def lines(self) -> list[str]:
        """Returns one line a note: number, what, the first places."""
        return [
            f'{count:,} {what}: {", ".join(self.examples[what])}{", ..." if count > EXAMPLES else ""}'
            for what, count in self.counts.items()
        ]
