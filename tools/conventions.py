"""Writes docs/conventions.md, from `semconv.py` and the dictionary of other libraries' names.

python tools/conventions.py
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from otel_chat import _dialects as dialects
from otel_chat import semconv as sc
from tools.reference import table

PAGE: Final = Path(__file__).parent.parent / "docs" / "conventions.md"
REPOSITORY: Final = "https://github.com/open-telemetry/semantic-conventions-genai"
FORMER_REPOSITORY: Final = "https://github.com/open-telemetry/semantic-conventions"


class Document(NamedTuple):
    """A document of the conventions as it was read.

    Args:
        path: Where it stands in the repository.
        commit: Of which version.
    """

    path: str
    commit: str


INFERENCE: Final = Document(
    "docs/gen-ai/client-inference.md", "024a4f944a1291fcb627c9c47da69e79868dd15e"
)
ATTRIBUTES: Final = Document(
    "docs/registry/attributes/gen-ai.md", "002c8a6ea1c8a42b14a4527db83b3cabcded610a"
)
REGISTRY: Final = Document("model/gen-ai/registry.yaml", "e8fc5751506258db1459d1bde47994e01dee922e")
METRICS: Final = Document("model/gen-ai/metrics.yaml", "88eccb155ca7d6984826da1f4b1c08ee916e0f49")
EVENTS: Final = Document("model/gen-ai/events.yaml", "fecf9e12378d7b913438c954f8d7d243680ece47")
TOKEN_METRICS: Final = Document(
    "docs/gen-ai/gen-ai-token-metrics.md", "066d4a7f356f8600de6f10c42874626ab88692fb"
)
DOCUMENTS: Final = {
    INFERENCE: (
        *(sc.OPERATION_NAME, sc.PROVIDER_NAME, sc.CONVERSATION_ID, sc.PROMPT_NAME),
        *(sc.PROMPT_VERSION, sc.REQUEST_MODEL, sc.RESPONSE_MODEL, sc.RESPONSE_ID),
        *(sc.FINISH_REASONS, sc.GEN_AI_INPUT_TOKENS, sc.GEN_AI_OUTPUT_TOKENS),
        *(sc.GEN_AI_CACHE_READ_TOKENS, sc.GEN_AI_CACHE_WRITE_TOKENS, sc.GEN_AI_REASONING_TOKENS),
        *(sc.INPUT_MESSAGES, sc.GEN_AI_TIME_TO_FIRST_CHUNK, sc.METRIC_INFERENCE_INPUT_TOKENS),
        *(sc.METRIC_INFERENCE_OUTPUT_TOKENS, sc.METRIC_USAGE_INPUT, sc.METRIC_USAGE_OUTPUT),
        *(sc.METRIC_USAGE_CACHE_READ, sc.METRIC_USAGE_CACHE_WRITE, sc.METRIC_USAGE_REASONING),
    ),
    ATTRIBUTES: (
        *(sc.AGENT_NAME, sc.AGENT_ID, sc.AGENT_VERSION, sc.OUTPUT_MESSAGES, sc.DATA_SOURCE_ID),
        *(sc.TOKEN_TYPE, sc.EVALUATION_NAME, sc.EVALUATION_SCORE, sc.EVALUATION_LABEL),
        sc.EVALUATION_EXPLANATION,
    ),
    REGISTRY: (sc.TOOL_NAME, sc.TOOL_TYPE, sc.TOOL_CALL_ID),
    METRICS: (
        *(sc.WORKFLOW_GEN_AI_NAME, sc.METRIC_CLIENT_OPERATION_DURATION),
        *(sc.METRIC_INFERENCE_DURATION, sc.METRIC_INFERENCE_FIRST_CHUNK),
        *(sc.METRIC_EXECUTE_TOOL_DURATION, sc.METRIC_INVOKE_AGENT_DURATION),
        *(sc.METRIC_INVOKE_AGENT_INFERENCE_CALLS, sc.METRIC_INVOKE_AGENT_TOOL_CALLS),
        sc.METRIC_INVOKE_WORKFLOW_DURATION,
    ),
    TOKEN_METRICS: (sc.TOKEN_MODALITY,),
    EVENTS: (sc.EVENT_EVALUATION,),
}
"""The document in which each name was last seen."""
CHANGELOG: Final = Document("CHANGELOG.md", "714ebc6a01974e8993c89ae8c89d519a7c2b0fb0")
"""Of the former repository, up to the release that had the GenAI conventions last."""
MIGRATION: Final = Document(
    "docs/gen-ai/non-normative/migration.md", "32c328e85013588c6fe32ebc30934ab5b1752b6a"
)
FIRST_RELEASE: Final = "0.1.0"
"""Of the present repository: there `INFERENCE` lists metrics by name."""
SINCE: Final = {
    "1.27.0": (sc.GEN_AI_INPUT_TOKENS, sc.GEN_AI_OUTPUT_TOKENS),
    "1.34.0": (sc.CONVERSATION_ID,),
    "1.37.0": (sc.PROVIDER_NAME, sc.INPUT_MESSAGES, sc.OUTPUT_MESSAGES),
    "1.40.0": (sc.AGENT_VERSION, sc.GEN_AI_CACHE_READ_TOKENS),
    "1.41.0": (sc.GEN_AI_REASONING_TOKENS, sc.GEN_AI_TIME_TO_FIRST_CHUNK),
    "after 1.41.0": (
        *(sc.GEN_AI_CACHE_WRITE_TOKENS, sc.TOKEN_MODALITY, sc.METRIC_INVOKE_AGENT_DURATION),
        *(sc.METRIC_INVOKE_AGENT_INFERENCE_CALLS, sc.METRIC_INVOKE_AGENT_TOOL_CALLS),
        *(sc.METRIC_INVOKE_WORKFLOW_DURATION, sc.METRIC_EXECUTE_TOOL_DURATION),
    ),
    f"GenAI {FIRST_RELEASE}": (
        *(sc.METRIC_INFERENCE_DURATION, sc.METRIC_INFERENCE_FIRST_CHUNK),
        *(sc.METRIC_INFERENCE_INPUT_TOKENS, sc.METRIC_INFERENCE_OUTPUT_TOKENS),
        *(sc.METRIC_USAGE_INPUT, sc.METRIC_USAGE_OUTPUT, sc.METRIC_USAGE_CACHE_READ),
        *(sc.METRIC_USAGE_CACHE_WRITE, sc.METRIC_USAGE_REASONING),
    ),
}
"""The release in which a name appeared, of those that tell it."""
READ_AS: Final = {
    sc.CONVERSATION_ID: dialects.CONVERSATION_IDS,
    sc.AGENT_NAME: dialects.AGENTS,
    sc.REQUEST_MODEL: dialects.REQUEST_MODELS,
    sc.RESPONSE_MODEL: dialects.RESPONSE_MODELS,
    sc.PROVIDER_NAME: dialects.PROVIDERS,
    sc.RESPONSE_ID: dialects.RESPONSE_IDS,
    sc.TOOL_NAME: dialects.TOOLS,
    sc.PROMPT_NAME: dialects.PROMPTS,
    sc.PROMPT_VERSION: dialects.PROMPT_VERSIONS,
    sc.OPERATION_NAME: dialects.SPAN_KINDS,
    sc.GEN_AI_TIME_TO_FIRST_CHUNK: (
        *dialects.FIRST_CHUNK_SECONDS,
        *dialects.FIRST_CHUNK_MILLISECONDS,
    ),
    sc.INPUT_MESSAGES: dialects.INPUTS,
    sc.OUTPUT_MESSAGES: dialects.OUTPUTS,
    **{names[0]: names for names in dialects.TOKENS.values()},
}
"""The names under which the server reads the same of other libraries' spans."""
_INTRODUCTION: Final = f"""\
# Names and conventions

The library writes the names of [OpenTelemetry's GenAI conventions]({REPOSITORY}) where they have \
one, all of which are in development there, and its own (`otel_chat.*`) for the rest. Its spans \
name the schema `{sc.SCHEMA_URL}`. This page is made by `python tools/conventions.py`.

For one release the duration of model calls stands under two names, \
`{sc.METRIC_INFERENCE_DURATION}` and the former `{sc.METRIC_CLIENT_OPERATION_DURATION}`; rules and \
dashboards read the former one of series that have no other. \
`OTEL_SEMCONV_STABILITY_OPT_IN=gen_ai_latest_experimental` leaves it out. \
`{sc.METRIC_INVOKE_AGENT_INFERENCE_CALLS}` and `{sc.METRIC_INVOKE_AGENT_TOOL_CALLS}` count the \
spans inside a turn, whoever made them, and say nothing of turns without any. Tokens count under \
the modality `{sc.MODALITY_UNKNOWN}`.

The conventions may come to tell a workflow as an agent \
([issue 477]({REPOSITORY}/issues/477)). The server reads a workflow by either operation, \
`{sc.OPERATION_INVOKE_WORKFLOW}` or `{sc.OPERATION_INVOKE_AGENT}`, to the same turns; the library \
writes `{sc.OPERATION_INVOKE_WORKFLOW}` and `{sc.METRIC_INVOKE_WORKFLOW_DURATION}`, as the \
documents below have them. Where a release of theirs no longer does, it writes the new name beside \
the former for one release, too.

## Names of the conventions

Each was read in the document that is linked, at that commit. The server reads the others, too, \
the first of them in front, and what events of a span, or log records that name it, tell of it: \
{", ".join(f"`{name}`" for name in dialects.TELLING)}.

*Since* is the release in which a name appeared: up to 1.41.0 by the \
[changelog]({FORMER_REPOSITORY}/blob/{CHANGELOG.commit}/{CHANGELOG.path}) of the repository that \
had the conventions then, afterwards by the \
[list of changes since]({REPOSITORY}/blob/{MIGRATION.commit}/{MIGRATION.path}), with the release \
where [its document]({REPOSITORY}/blob/v{FIRST_RELEASE}/{INFERENCE.path}) could be read. It is \
empty where these do not tell a name's first release.

"""
_OWN: Final = """
## Names of our own

No convention has them. The [reference](reference.md) says what they mean.

"""


def names(prefix: str) -> list[str]:
    """The names in `semconv` that begin so, in its order, each once."""
    values = [value for key, value in vars(sc).items() if key.isupper() and isinstance(value, str)]
    return list(dict.fromkeys(value for value in values if value.startswith(prefix)))


def _cells(values: Iterable[str]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def page() -> str:
    """The page."""
    seen = {name: document for document, held in DOCUMENTS.items() for name in held}
    since = {name: release for release, held in SINCE.items() for name in held}
    rows = []
    for name in names("gen_ai."):
        path, commit = seen[name]
        link = f"[{path.rsplit('/', 1)[1]} {commit[:7]}]({REPOSITORY}/blob/{commit}/{path})"
        also = [other for other in READ_AS.get(name, ()) if other != name]
        rows.append((f"`{name}`", since.get(name, ""), link, _cells(also)))
    head = ("name", "since", "read in", "also read as")
    return f"{_INTRODUCTION}{table(head, rows)}{_OWN}{_cells(names('otel_chat.'))}.\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
