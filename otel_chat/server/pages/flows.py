"""Flow diagrams: how many go from what to what, step by step, as ribbons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Final

from otel_chat.server.figures.conversation_rows import STEPS
from otel_chat.server.pages import formats

WIDTH: Final = 540
MOST: Final = 4
OTHERS: Final = "other intents"
_NODE: Final = 10
_GAP: Final = 20
_TOP: Final = 14
_SCALE: Final = 360.0
_LABEL: Final = 84


@dataclass(frozen=True, slots=True)
class Way:
    """So many that took the same steps.

    Args:
        steps: The names of the steps.
        end: How it ended.
        count: How many took it.
    """

    steps: Sequence[str]
    end: str
    count: int


@dataclass(frozen=True, slots=True)
class Node:
    """A place in a diagram.

    Args:
        name: What it is called.
        colour: A name of the palette; empty for the common one.
        x: Its left edge.
        y: Its upper edge.
        height: How high it is.
        tip: Its figure in words.
    """

    name: str
    colour: str
    x: float
    y: float
    height: float
    tip: str


@dataclass(frozen=True, slots=True)
class Ribbon:
    """How many go from one place to another.

    Args:
        path: Its outline.
        colour: A name of the palette; empty for the common one.
        tip: Its figure in words.
        count: How many go there.
        href: Where the list of them is; empty for nowhere.
    """

    path: str
    colour: str
    tip: str
    count: int
    href: str = ""


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow diagram.

    Args:
        key: A name for it, unique on the page.
        title: What it shows.
        question: The question that it answers.
        nodes: Its places.
        ribbons: What goes between them.
        height: How high it is; it is `WIDTH` wide.
        meanings: Names and definitions of its figures.
        sample: Of how many it shows how many.
        wide: Whether it takes the whole width of the page.
    """

    form: ClassVar[str] = "flow"
    key: str
    title: str
    question: str
    nodes: Sequence[Node]
    ribbons: Sequence[Ribbon]
    height: float
    meanings: Sequence[tuple[str, str]] = ()
    sample: str = ""
    wide: bool = False

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not self.ribbons


Place = tuple[int, str]
"""The number of a step, from 0, and its name."""
Opening = Callable[[Place, Place], str]


def _steps(way: Way, kept: Sequence[set[str]]) -> list[Place]:
    """The places of a way: its first steps, rare ones under one name, and its end."""
    named = [
        (number, name if name in kept[number] else OTHERS)
        for number, name in enumerate(way.steps[:STEPS])
    ]
    return [*named, (len(kept), way.end)]


def _kept(ways: Sequence[Way]) -> list[set[str]]:
    """The most frequent names of each step."""
    length = min(max((len(way.steps) for way in ways), default=0), STEPS)
    kept = []
    for number in range(length):
        counts: Counter[str] = Counter()
        for way in ways:
            if number < len(way.steps):
                counts[way.steps[number]] += way.count
        kept.append({name for name, _ in counts.most_common(MOST)})
    return kept


def draw(
    ways: Sequence[Way],
    ends: Sequence[tuple[str, str]],
    opening: Opening = lambda _origin, _target: "",
) -> tuple[list[Node], list[Ribbon], float]:
    """Places, ribbons and height of the diagram of these ways.

    Args:
        ways: The ways.
        ends: How they may end, each with the name of its colour; drawn in this order.
        opening: The address of those that go from one place to another; the end has the number of
            all steps.

    Example:
        >>> nodes, ribbons, height = draw([Way(["ask"], "done", 3)], [("done", "resolved")])
        >>> [(node.name, round(node.height)) for node in nodes], len(ribbons)
        ([('ask', 360), ('done', 360)], 1)
    """
    kept = _kept(ways)
    order = {name: number for number, (name, _) in enumerate(ends)}
    colours = dict(ends)
    sizes: Counter[Place] = Counter()
    flows: Counter[tuple[Place, Place]] = Counter()
    for way in ways:
        places = _steps(way, kept)
        sizes.update(dict.fromkeys(places, way.count))
        for pair in pairwise(places):
            flows[pair] += way.count
    whole = sum(way.count for way in ways)
    if not whole:
        return [], [], 0.0

    def rank(place: Place) -> tuple[int, int, str]:
        step, name = place
        late = order.get(name, 0) if step == len(kept) else int(name == OTHERS)
        return late, -sizes[place], name

    unit = _SCALE / whole
    gap = (WIDTH - _LABEL - _NODE) / max(len(kept), 1)
    nodes: dict[Place, Node] = {}
    height = 0.0
    for step in range(len(kept) + 1):
        y = float(_TOP)
        for place in sorted((one for one in sizes if one[0] == step), key=rank):
            tall = max(sizes[place] * unit, 1.5)
            colour = colours.get(place[1], "") if step == len(kept) else ""
            tip = f"{place[1]}: {formats.plural(sizes[place], 'conversation')}"
            nodes[place] = Node(place[1], colour, step * gap, y, tall, tip)
            y += tall + _GAP
        height = max(height, y)
    return list(nodes.values()), _ribbons(flows, nodes, unit, opening), height


def _ribbons(
    flows: Counter[tuple[Place, Place]], nodes: dict[Place, Node], unit: float, opening: Opening
) -> list[Ribbon]:
    used_out: dict[Place, float] = dict.fromkeys(nodes, 0.0)
    used_in: dict[Place, float] = dict.fromkeys(nodes, 0.0)
    made = []
    for origin, target in sorted(flows, key=lambda f: (nodes[f[0]].y, nodes[f[1]].y, f[1][0])):
        count = flows[origin, target]
        thick = count * unit
        a, b = nodes[origin], nodes[target]
        x0, x1 = a.x + _NODE, b.x
        y0, y1 = a.y + used_out[origin], b.y + used_in[target]
        used_out[origin] += thick
        used_in[target] += thick
        bend = (x0 + x1) / 2
        path = (
            f"M{x0:.1f} {y0:.1f}C{bend:.1f} {y0:.1f} {bend:.1f} {y1:.1f} {x1:.1f} {y1:.1f}"
            f"v{thick:.1f}"
            f"C{bend:.1f} {y1 + thick:.1f} {bend:.1f} {y0 + thick:.1f} {x0:.1f} {y0 + thick:.1f}z"
        )
        tip = f"{a.name} \u2192 {b.name}: {formats.plural(count, 'conversation')}"
        href = "" if OTHERS in (origin[1], target[1]) else opening(origin, target)
        made.append(Ribbon(path, b.colour, tip, count, href))
    return made
