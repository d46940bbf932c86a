"""Answers of the addresses of engagement and feedback, as the API's description shows them."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from otel_chat.server.api.examples import TRACE_ID, WINDOW, shown
from otel_chat.server.figures.answers import Distribution, TimeSpan
from otel_chat.server.questions.engagement import (
    ConversationEngagement,
    LengthBin,
    ScoreBin,
    Segment,
    Segments,
    Users,
)
from otel_chat.server.questions.evaluations import (
    Evaluation,
    EvaluationPoint,
    Evaluations,
    LabelCount,
)
from otel_chat.server.questions.feedback import (
    Comment,
    Comments,
    FeedbackFigures,
    RatingPoint,
    Ratings,
    RatingScale,
    RatingValue,
)
from otel_chat.server.questions.hours import HourOfWeek, PeakHours
from otel_chat.server.questions.leads import Conversion, LeadKind, LeadPoint, Leads

SPAN: Final = TimeSpan.of(WINDOW)
LATE: Final = WINDOW.end - timedelta(hours=2)

ENGAGEMENT_ANSWER: Final = shown(
    ConversationEngagement(
        window=SPAN,
        conversations=48,
        turns=Distribution(mean=3.8, p50=4, p95=7, p99=9, count=48),
        messages=Distribution(mean=7.7, p50=8, p95=14, p99=18, count=48),
        duration=Distribution(mean=96.0, p50=80.0, p95=240.0, p99=410.0, count=48),
        lengths=[LengthBin(low=1, high=1, conversations=6, share=0.125)],
        score=58.3,
        scores=[ScoreBin(low=40, high=60, conversations=22)],
        first_interaction=WINDOW.start,
        last_interaction=LATE,
        users=Users(
            users=31, conversations=40, conversations_per_user=1.29, repeating=6, returning=4,
            returning_rate=0.129,
        ),
    )
)  # fmt: skip
SEGMENTS_ANSWER: Final = shown(
    Segments(
        window=SPAN,
        dimension="channel",
        conversations=48,
        items=[
            Segment(
                name="web", conversations=30, share=0.625, turns=118, engagement_score=60.1,
                resolved=22, handed_off=4, abandoned=3, failed=1, open=0,
            )
        ],
        others=18,
    )
)  # fmt: skip
_PEAK: Final = HourOfWeek(
    weekday=0, hour=10, conversations=4, turns=17, mean_response_time=0.9, handoffs=1
)
PEAK_HOURS_ANSWER: Final = shown(
    PeakHours(window=SPAN, timezone="Europe/Berlin", cells=[_PEAK], peak=_PEAK, peak_share=0.094)
)
LEADS_ANSWER: Final = shown(
    Leads(
        window=SPAN,
        leads=5,
        conversations=48,
        converted=4,
        conversion_rate=0.0833,
        kinds=[LeadKind(kind="demo", leads=5, conversations=4, conversion_rate=0.0833)],
        agents=[Conversion(name="support", conversations=48, converted=4, conversion_rate=0.0833)],
        channels=[Conversion(name="web", conversations=30, converted=4, conversion_rate=0.1333)],
        bucket="1d",
        points=[
            LeadPoint(start=WINDOW.start, conversations=7, converted=1, conversion_rate=0.1429)
        ],
    )
)
FEEDBACK_ANSWER: Final = shown(
    FeedbackFigures(
        window=SPAN,
        all=Ratings(ratings=12, score=0.81, top_share=0.75, positive=9, negative=1),
        settled=45,
        rated=12,
        response_rate=0.2667,
        scales=[
            RatingScale(
                lowest=1, highest=5, ratings=12, mean=4.25,
                values=[RatingValue(value=5, ratings=7, share=0.5833)],
            )
        ],
        bucket="1d",
        points=[RatingPoint(start=WINDOW.start, ratings=2, score=0.875, top_share=1.0)],
    )
)  # fmt: skip
COMMENTS_ANSWER: Final = shown(
    Comments(
        window=SPAN,
        items=[
            Comment(
                time=LATE, conversation_id="chat-7f3a", tenant="default", trace_id=TRACE_ID,
                evaluation="user_feedback", value=5, score=1, label="",
                comment="That was quick, thank you",
            )
        ],
        next_cursor=None,
    )
)  # fmt: skip
EVALUATIONS_ANSWER: Final = shown(
    Evaluations(
        window=SPAN,
        bucket="1d",
        starts=[WINDOW.start],
        items=[
            Evaluation(
                name="user_feedback", count=12, scored=12, mean=0.81, value_mean=4.24,
                p25=0.75, p50=0.75, p75=1, lowest=0.25, highest=1,
                labels=[LabelCount(label="helpful", count=4)],
                points=[EvaluationPoint(start=WINDOW.start, count=2, mean=0.875)],
            )
        ],
        others=0,
    )
)  # fmt: skip
