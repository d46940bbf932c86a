"""Example answers of journeys for the API's description."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from otel_chat.server.api.examples import NOON, WINDOW, shown
from otel_chat.server.figures.answers import Distribution, TimeSpan
from otel_chat.server.questions.drop_off import DropOff, IntentDropOff, StepDropOff
from otel_chat.server.questions.funnel import Funnel, FunnelStep
from otel_chat.server.questions.journeys import (
    EndedAs,
    Incomplete,
    IncompleteConversation,
    IntentPath,
    Paths,
    Transition,
)
from otel_chat.server.questions.repeat_contact import RepeatContact, Returned
from otel_chat.server.questions.workflows import Workflow, Workflows, WorkflowStep

SPAN: Final = TimeSpan.of(WINDOW)
_ENDED: Final = EndedAs(resolved=30, handed_off=4, abandoned=5, failed=1, open=0)

PATHS_ANSWER: Final = shown(
    Paths(
        window=SPAN,
        conversations=96,
        settled=92,
        transitions=[
            Transition(
                origin="order_status",
                target="return_order",
                count=44,
                share=0.4,
                conversations=40,
                outcomes=_ENDED,
            )
        ],
        transitions_not_listed=57,
        paths=[
            IntentPath(
                intents=["greeting", "order_status", "thanks"],
                longer=False,
                conversations=40,
                share=40 / 92,
                outcomes=_ENDED,
            )
        ],
        paths_not_listed=31,
    )
)
DROP_OFF_ANSWER: Final = shown(
    DropOff(
        window=SPAN,
        settled=92,
        dropped=11,
        rate=11 / 92,
        intents=[
            IntentDropOff(intent="return_order", dropped=6, share=6 / 11, reached=24, rate=0.25)
        ],
        steps=[
            StepDropOff(
                workflow="return", step="address", dropped=4, share=4 / 11, reached=16, rate=0.25
            )
        ],
        others=0,
    )
)
INCOMPLETE_ANSWER: Final = shown(
    Incomplete(
        window=SPAN,
        total=13,
        items=[
            IncompleteConversation(
                conversation_id="chat-7f3a",
                tenant="default",
                agent="support",
                channel="web",
                started_at=NOON,
                last_at=NOON + timedelta(seconds=96),
                turns=4,
                outcome="abandoned",
                last_intent="return_order",
                workflow="return",
                step="address",
            )
        ],
        next_cursor=None,
    )
)
FUNNEL_ANSWER: Final = shown(
    Funnel(
        window=SPAN,
        within=None,
        conversations=96,
        steps=[
            FunnelStep(
                step="intent:greet",
                conversations=80,
                share_of_first=1.0,
                share_of_previous=None,
                lost=None,
                median_time=None,
            ),
            FunnelStep(
                step="workflow:checkout",
                conversations=40,
                share_of_first=0.5,
                share_of_previous=0.5,
                lost=40,
                median_time=42.5,
            ),
            FunnelStep(
                step="action:purchase",
                conversations=20,
                share_of_first=0.25,
                share_of_previous=0.5,
                lost=20,
                median_time=96.0,
            ),
        ],
        median_time=140.0,
    )
)
WORKFLOWS_ANSWER: Final = shown(
    Workflows(
        window=SPAN,
        items=[
            Workflow(
                name="return",
                conversations=24,
                started=25,
                completed=15,
                failed=4,
                left_open=5,
                running=1,
                completion_rate=0.6,
                duration=Distribution(mean=71.0, p50=64.0, p95=140.0, p99=151.0, count=15),
                steps=[
                    WorkflowStep(
                        step="order", conversations=24, settled=23, dropped=3, rate=3 / 23
                    ),
                    WorkflowStep(
                        step="address", conversations=20, settled=20, dropped=5, rate=0.25
                    ),
                ],
            )
        ],
        others=0,
    )
)
REPEAT_CONTACT_ANSWER: Final = shown(
    RepeatContact(
        window=SPAN,
        hours=24.0,
        settled=92,
        with_user=84,
        pending=4,
        all=Returned(rate=0.15, returned=12, observed=80),
        contained=Returned(rate=0.125, returned=9, observed=72),
        lasting_containment=0.7875,
    )
)
