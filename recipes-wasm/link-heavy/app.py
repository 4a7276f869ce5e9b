"""Example: a hotwire in Python that drops mail in which links outweigh words.

Written to be read. It shows a recipe with configuration and Python's own library.
What it knows arrives as arguments; there is no file, no network, no clock but
`situation.now`. The decision is kept apart from the contract, and is easy to test.
"""

import json
import re

import wit_world
from wit_world.imports import log
from wit_world.imports.types import Verdict

LINK = re.compile(r"https?://\S+")
WORD = re.compile(r"\w+")


class WitWorld(wit_world.WitWorld):
    """The host calls this class; componentize-py wants this name."""

    def evaluate(self, envelope, situation):
        body = next((field.value for field in envelope.fields if field.name == "body_text"), "")
        # The recipe's [config] table; every key has a default.
        config = json.loads(situation.config)["config"]
        most = float(config.get("most_links_per_word", 0.2))
        links, words = weigh(body)
        log.write(log.Level.DEBUG, f"{links} links, {words} words")
        if links < int(config.get("fewest_links", 2)) or links <= most * words:
            return None
        return Verdict("drop", f"link-heavy: {links} links and {words} words", None, [])


def weigh(text):
    """How many links a text has, and how many words beside them."""
    return len(LINK.findall(text)), len(WORD.findall(LINK.sub(" ", text)))
