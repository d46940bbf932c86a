"""English words that say nothing of what a question is about, and those of greeting and thanking.

Other languages have no list here: a theme of theirs is found as well, but its small talk stays.
"""

from __future__ import annotations

import re
from typing import Final

FUNCTION_WORDS: Final = frozenset(
    """
    a about after again all also am an and any anything are aren't as at be because been before
    being below between both but by can can't cannot could couldn't did didn't do does doesn't
    doing don't down during each else ever everything few for from further get gets getting give
    go goes going got had has hasn't have haven't having he her here hers him his how i i'd i'll
    i'm i've if in into is isn't it it's its itself just know let let's like make makes many may
    maybe me might mine more most much must my myself need needs no nor not nothing now of off on
    once one only or other our ours out over own per possible put really same say see shall she
    should show so some something such take tell than that that's the their theirs them then there
    there's these they thing things this those through to too try up us use very via want wants
    was wasn't way we we're were weren't what what's when where which while who whom whose why
    will with within without won't would wouldn't yet you you'd you'll you're your yours
    """.split()  # noqa: SIM905 - read as prose
)
COURTESIES: Final = frozenset(
    """
    absolutely afternoon alright amazing appreciate appreciated awesome bye bye-bye cheers cool
    correct course day enjoy evening excellent exactly fantastic fine good goodbye great hello hey
    hi hiya indeed kind lovely morning nah nice night nope ok okay perfect please right sorry
    sounds super sure thank thanks thx ty welcome wonderful works yeah yep yes yup
    """.split()  # noqa: SIM905 - read as prose
)
SMALL_TALK_INTENTS: Final = frozenset(
    """
    acknowledge acknowledgement affirm affirmation affirmative agree bye chitchat confirm deny
    denial disagree farewell goodbye greet greeting greetings hello hi howareyou no ok okay
    pleasantries pleasantry smalltalk thank thankyou thanks welcome yes
    """.split()  # noqa: SIM905 - read as prose
)
"""Names of intents that lead nowhere, without all but their letters."""
_WORD: Final = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*")


def words(text: str) -> list[str]:
    """The words of a text, in small letters.

    Example:
        >>> words("I can\u2019t pay 12 EUR!")
        ['i', "can't", 'pay', 'eur']
    """
    return [word.replace("\u2019", "'") for word in _WORD.findall(text.casefold())]


def telling(text: str) -> list[str]:
    """The words of a text that say what it is about.

    Example:
        >>> telling("How do I cancel my subscription, please?")
        ['cancel', 'subscription']
    """
    plain = FUNCTION_WORDS | COURTESIES
    return [word for word in words(text) if word not in plain]


def small_talk(text: str) -> bool:
    """Whether a text has words, and none of them says what it is about.

    Example:
        >>> small_talk("No, that's all. Thank you, bye!"), small_talk("???"), small_talk("Refund")
        (True, False, False)
    """
    return bool(words(text)) and not telling(text)
