"""The names that library, collector, dashboards, rules and server share.

A name stands here once; everything else imports it. The field's own names (`gen_ai.*`) are kept
here too because their upstream constants are frozen and deprecated.
"""

from __future__ import annotations

from typing import Final

# Attributes of the turn span
TURN_ROOT: Final = "otel_chat.turn.root"
TURN_INDEX: Final = "otel_chat.turn.index"
OPERATION_NAME: Final = "gen_ai.operation.name"
AGENT_NAME: Final = "gen_ai.agent.name"
AGENT_ID: Final = "gen_ai.agent.id"
AGENT_VERSION: Final = "gen_ai.agent.version"
VARIANT: Final = "otel_chat.variant"
CONVERSATION_ID: Final = "gen_ai.conversation.id"
REQUEST_MODEL: Final = "gen_ai.request.model"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_ID: Final = "gen_ai.response.id"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
TOOL_CALLS: Final = "otel_chat.tool_calls"
PROVIDER_NAME: Final = "gen_ai.provider.name"
USAGE_INPUT_TOKENS: Final = "otel_chat.usage.input_tokens"
USAGE_OUTPUT_TOKENS: Final = "otel_chat.usage.output_tokens"
USAGE_CACHE_READ_TOKENS: Final = "otel_chat.usage.cache_read_tokens"
USAGE_REASONING_TOKENS: Final = "otel_chat.usage.reasoning_tokens"
COST_AMOUNT: Final = "otel_chat.cost.amount"
COST_SOURCE: Final = "otel_chat.cost.source"
MESSAGE_TYPE: Final = "otel_chat.message.type"
CONTEXT_SIZE: Final = "otel_chat.context.size"
CACHED: Final = "otel_chat.cached"
CHANNEL: Final = "otel_chat.channel"
PLATFORM: Final = "otel_chat.platform"
LOCATION: Final = "otel_chat.location"
USER_TYPE: Final = "otel_chat.user.type"
USER_HASH: Final = "user.hash"
TENANT: Final = "otel_chat.tenant"
CLOCK_ADJUSTED: Final = "otel_chat.clock_adjusted"
INTENT_NAME: Final = "otel_chat.intent.name"
INTENT_SUCCESS: Final = "otel_chat.intent.success"
CONFIDENCE: Final = "otel_chat.confidence"
FALLBACK: Final = "otel_chat.fallback"
SENTIMENT: Final = "otel_chat.sentiment"
HANDOFF_TRIGGERED: Final = "otel_chat.handoff.triggered"
HANDOFF_REASON: Final = "otel_chat.handoff.reason"
HANDOFF_TARGET: Final = "otel_chat.handoff.target"
TIME_TO_FIRST_CHUNK: Final = "otel_chat.time_to_first_chunk"
STATUS: Final = "otel_chat.status"
REPLY: Final = "otel_chat.reply"
SYNTHETIC: Final = "otel_chat.synthetic"
ERROR_TYPE: Final = "error.type"
KEEP: Final = "otel_chat.keep"
HTTP_ROUTE: Final = "http.route"
HTTP_STATUS_CODE: Final = "http.response.status_code"
USER_AGENT: Final = "user_agent.original"
REFERRER: Final = "otel_chat.referrer"
PAGE: Final = "otel_chat.page"
METADATA: Final = "otel_chat.metadata"
CLOSE_CODE: Final = "otel_chat.close_code"  # of the span of a WebSocket connection
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"

# Attributes of the spans inside a turn (GenAI conventions)
GEN_AI_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
GEN_AI_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
GEN_AI_CACHE_READ_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
GEN_AI_CACHE_WRITE_TOKENS: Final = "gen_ai.usage.cache_write.input_tokens"
GEN_AI_REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_TYPE: Final = "gen_ai.tool.type"
TOOL_CALL_ID: Final = "gen_ai.tool.call.id"
PROMPT_NAME: Final = "gen_ai.prompt.name"
PROMPT_VERSION: Final = "gen_ai.prompt.version"
WORKFLOW_GEN_AI_NAME: Final = "gen_ai.workflow.name"
DATA_SOURCE_ID: Final = "gen_ai.data_source.id"
TOKEN_TYPE: Final = "gen_ai.token.type"  # noqa: S105 - an attribute's name, no secret

# Attributes of events
EVENT_UID: Final = "log.record.uid"
OUTCOME: Final = "otel_chat.outcome"
REASON: Final = "otel_chat.reason"
MESSAGE_SENDER: Final = "otel_chat.message.sender"
MESSAGE_TEXT: Final = "otel_chat.message.text"
SOURCE: Final = "otel_chat.source"
ENTITY_TYPE: Final = "otel_chat.entity.type"
ENTITY_VALUE: Final = "otel_chat.entity.value"
TOPIC_NAME: Final = "otel_chat.topic.name"
ACTION_TYPE: Final = "otel_chat.action.type"
WORKFLOW_NAME: Final = "otel_chat.workflow.name"
WORKFLOW_STEP: Final = "otel_chat.workflow.step"
WORKFLOW_STATUS: Final = "otel_chat.workflow.status"
API_NAME: Final = "otel_chat.api.name"
API_DURATION: Final = "otel_chat.api.duration"
API_STATUS: Final = "otel_chat.api.status"
HANDOFF_WAIT: Final = "otel_chat.handoff.wait"
LEAD_KIND: Final = "otel_chat.lead.kind"
EVENT_CUSTOM_NAME: Final = "otel_chat.event.name"
DATA: Final = "otel_chat.data"
EVALUATION_NAME: Final = "gen_ai.evaluation.name"
EVALUATION_SCORE: Final = "gen_ai.evaluation.score.value"
EVALUATION_LABEL: Final = "gen_ai.evaluation.score.label"
EVALUATION_EXPLANATION: Final = "gen_ai.evaluation.explanation"
FEEDBACK_VALUE: Final = "otel_chat.feedback.value"
FEEDBACK_SCALE_MIN: Final = "otel_chat.feedback.scale.min"
FEEDBACK_SCALE_MAX: Final = "otel_chat.feedback.scale.max"
EXCEPTION_TYPE: Final = "exception.type"
EXCEPTION_MESSAGE: Final = "exception.message"
EXCEPTION_STACKTRACE: Final = "exception.stacktrace"

# Event names
EVENT_CONVERSATION_START: Final = "otel_chat.conversation.start"
EVENT_CONVERSATION_END: Final = "otel_chat.conversation.end"
EVENT_MESSAGE: Final = "otel_chat.message"
EVENT_INTENT: Final = "otel_chat.intent"
EVENT_ENTITY: Final = "otel_chat.entity"
EVENT_TOPIC: Final = "otel_chat.topic"
EVENT_ACTION: Final = "otel_chat.action"
EVENT_WORKFLOW_STARTED: Final = "otel_chat.workflow.started"
EVENT_WORKFLOW_COMPLETED: Final = "otel_chat.workflow.completed"
EVENT_WORKFLOW_FAILED: Final = "otel_chat.workflow.failed"
EVENT_API_CALL: Final = "otel_chat.api_call"
EVENT_HANDOFF_REQUESTED: Final = "otel_chat.handoff.requested"
EVENT_HANDOFF_ACCEPTED: Final = "otel_chat.handoff.accepted"
EVENT_HANDOFF_ENDED: Final = "otel_chat.handoff.ended"
EVENT_LEAD: Final = "otel_chat.lead"
EVENT_EVALUATION: Final = "gen_ai.evaluation.result"
EVENT_EXCEPTION: Final = "exception"
EVENT_CUSTOM: Final = "otel_chat.custom"
HANDOFF_ADVISED: Final = "handoff_advised"  # the name of a custom event

# Operations (`gen_ai.operation.name`)
OPERATION_INVOKE_AGENT: Final = "invoke_agent"
OPERATION_CHAT: Final = "chat"
OPERATION_EXECUTE_TOOL: Final = "execute_tool"
OPERATION_INVOKE_WORKFLOW: Final = "invoke_workflow"
OPERATION_RETRIEVAL: Final = "retrieval"
OPERATION_CLASSIFY: Final = "classify_intent"  # ours: the conventions name none
OPERATION_HANDOFF: Final = "handoff"

SCHEMA_URL: Final = "https://opentelemetry.io/schemas/gen-ai/1.42.0"

# Closed sets of values
TOOL_TYPE_FUNCTION: Final = "function"
STATUS_OK: Final = "ok"
STATUS_ERROR: Final = "error"
STATUS_CANCELLED: Final = "cancelled"
OUTCOMES: Final = ("resolved", "handed_off", "abandoned", "failed", "open")
SENDERS: Final = ("user", "assistant", "system", "human")
SENTIMENTS: Final = ("positive", "neutral", "negative")
COST_SOURCES: Final = ("provider", "local", "unpriced")
SOURCES: Final = ("classifier", "annotation")

# Instruments
METRIC_TURN_DURATION: Final = "otel_chat.turn.duration"
METRIC_TURN_ERRORS: Final = "otel_chat.turn.errors"
METRIC_TURN_ACTIVE: Final = "otel_chat.turn.active"
METRIC_TURN_OLDEST: Final = "otel_chat.turn.oldest"
METRIC_TIME_TO_FIRST_CHUNK: Final = "otel_chat.turn.time_to_first_chunk"
METRIC_TURN_TOKENS: Final = "otel_chat.turn.tokens"
METRIC_TURN_COST: Final = "otel_chat.turn.cost"
METRIC_TURN_UNPRICED: Final = "otel_chat.turn.unpriced"
METRIC_TURN_CONFIDENCE: Final = "otel_chat.turn.confidence"
METRIC_LOW_CONFIDENCE: Final = "otel_chat.turn.low_confidence"
METRIC_INTENTS: Final = "otel_chat.intents"
METRIC_HANDOFFS: Final = "otel_chat.handoffs"
METRIC_CONVERSATION_ACTIVE: Final = "otel_chat.conversation.active"
METRIC_CONVERSATION_ENDED: Final = "otel_chat.conversation.ended"
METRIC_CONVERSATION_DURATION: Final = "otel_chat.conversation.duration"
METRIC_CONVERSATION_TURNS: Final = "otel_chat.conversation.turns"
METRIC_FEEDBACK_SCORE: Final = "otel_chat.feedback.score"
METRIC_EXPOSURES: Final = "otel_chat.exposures"
METRIC_ACTIONS: Final = "otel_chat.actions"
METRIC_WORKFLOWS: Final = "otel_chat.workflows"
METRIC_CLIENT_OPERATION_DURATION: Final = "gen_ai.client.operation.duration"
METRIC_EXECUTE_TOOL_DURATION: Final = "gen_ai.execute_tool.duration"
METRIC_TELEMETRY_ERRORS: Final = "otel_chat.telemetry.errors"
METRIC_TELEMETRY_DROPPED: Final = "otel_chat.telemetry.dropped"
METRIC_CAPPED_ATTRIBUTES: Final = "otel_chat.telemetry.capped_attributes"
TELEMETRY_COMPONENT: Final = "otel_chat.telemetry.component"
TELEMETRY_SIGNAL: Final = "otel_chat.telemetry.signal"
TELEMETRY_ATTRIBUTE: Final = "otel_chat.telemetry.attribute"

# Folded attribute values, and the threshold that parts low from high confidence
OTHER: Final = "_other"
LOW_CONFIDENCE_THRESHOLD: Final = 0.7

DOCTOR: Final = "otel-chat-doctor"
"""Service and agent of the turns that `otel-chat doctor` sends."""

# Metrics of the process itself (OTel conventions)
METRIC_PROCESS_MEMORY: Final = "process.memory.usage"
METRIC_PROCESS_CPU_TIME: Final = "process.cpu.time"
METRIC_PROCESS_THREADS: Final = "process.thread.count"
CPU_MODE: Final = "cpu.mode"
SIGNAL_SPANS: Final = "spans"
SIGNAL_EVENTS: Final = "events"
SIGNAL_RECORDS: Final = "records"
SIGNAL_OUTSIDE_TURN: Final = "outside_turn"
SIGNAL_METRICS: Final = "metrics"  # nothing is dropped of them: they are sums
SIGNALS: Final = (SIGNAL_SPANS, SIGNAL_EVENTS, SIGNAL_RECORDS, SIGNAL_OUTSIDE_TURN)
TOKEN_TYPES: Final = ("input", "output")
WORKFLOW_STATUSES: Final = ("started", "completed", "failed")
EVALUATION_USER_FEEDBACK: Final = "user_feedback"
