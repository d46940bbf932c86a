{#- The rows of some conversations, worked out from all of their turns and events.

    All that is there of them lies between `first` and `last`. The arrays hold the first {{ most }} turns or steps; all else is of every one. -#}
{%- set answered = "(status NOT IN ('" ~ n.STATUS_ERROR ~ "', '" ~ n.STATUS_CANCELLED ~ "') OR time_to_first_chunk IS NOT NULL)" -%}
{%- set tokens_known = '(input_tokens IS NOT NULL OR output_tokens IS NOT NULL OR cache_read_tokens IS NOT NULL OR reasoning_tokens IS NOT NULL)' -%}
{%- set answering_model = "if(response_model != '', response_model, request_model)" -%}
{%- set combination = '(environment, agent, agent_version, variant, channel, ' ~ answering_model ~ ', intent, route, user_type)' -%}
{%- set boxes = '(isNotNull(value) AND scale_max - scale_min >= 3 AND scale_max - scale_min <= 10)' -%}
{%- set positive = 'ifNull(if(' ~ boxes ~ ', value >= scale_max - 1, score >= 0.75), false)' -%}
{%- set negative = 'ifNull(if(' ~ boxes ~ ', value <= scale_min + 1, score <= 0.25), false)' -%}
{%- set rated = "name = '" ~ n.EVENT_EVALUATION ~ "'" -%}
{%- set feedback = rated ~ " AND evaluation = 'user_feedback'" -%}
{%- set ends = "name = '" ~ n.EVENT_CONVERSATION_END ~ "'" -%}
{%- set workflow_events = [n.EVENT_WORKFLOW_STARTED, n.EVENT_WORKFLOW_FAILED, n.EVENT_WORKFLOW_COMPLETED] -%}
{%- set handoff_events = [n.EVENT_HANDOFF_REQUESTED, n.EVENT_HANDOFF_ACCEPTED, n.EVENT_HANDOFF_ENDED] -%}
{%- set steps = workflow_events + [n.EVENT_ACTION, n.EVENT_TOPIC, n.EVENT_LEAD, n.EVENT_HANDOFF_REQUESTED] -%}
{%- set activity = workflow_events + handoff_events + [n.EVENT_CONVERSATION_START, n.EVENT_CONVERSATION_END, n.EVENT_MESSAGE, n.EVENT_ACTION, n.EVENT_LEAD, n.EVENT_CUSTOM] -%}
{%- macro among(names) -%}name IN ({% for name in names %}'{{ name }}'{{ ', ' if not loop.last }}{% endfor %}){%- endmacro -%}
{%- macro billionths(value) -%}toInt128(accurateCastOrNull(round(({{ value }}) * 1000000000), 'Int64')){%- endmacro -%}
INSERT INTO conversations (
  tenant, day, conversation_id, episode, version, gone, seen_from, seen_to, started_at,
  last_activity_at, ended, outcome, confirmed, handed_off, unfinished, last_turn, turns, replies,
  errors, fallbacks, classified, handoff_turns, handoff_events, own_turns, positive, negative,
  actions, user_messages, assistant_messages, system_messages, human_messages, input_tokens,
  output_tokens, cache_read_tokens, reasoning_tokens, token_turns, cost, priced_turns,
  unpriced_turns, duration_sum, first_chunks, first_chunk_sum, confidences, confidence_sum,
  low_confidence, scores, score_sum, rated, rating_sum, environment, agent, agent_version, variant,
  channel, platform, location, user_type, model, page, referrer, user_agent, user_hash, users,
  pages, combinations, ratings, handoff_reasons, topics, leads, last_intent, end_reason, capped,
  turn_at, turn_intent, turn_model, turn_seconds, turn_confidence, step_at, step_kind, step_name,
  step_place, stood, places
)
SETTINGS prefer_column_name_to_alias = 1
WITH
  arrayZip({{ '{tenants:Array(String)}' }}, {{ '{ids:Array(String)}' }}) AS keys,
  fromUnixTimestamp64Nano({{ '{first:Int64}' }}, 'UTC') AS seen_first,
  fromUnixTimestamp64Nano({{ '{last:Int64}' }}, 'UTC') AS seen_last,
  t AS (
    SELECT tenant, conversation_id,
      min(start) AS started_at, max(start) AS last_start, max(end) AS turns_end,
      argMax(multiIf(status = '{{ n.STATUS_ERROR }}', 2, ifNull(fallback, false), 1, 0),
        (start, trace_id, span_id)) AS last_turn,
      count() AS turns, countIf({{ answered }}) AS replies,
      countIf(status = '{{ n.STATUS_ERROR }}') AS errors,
      countIf(ifNull(fallback, false)) AS fallbacks,
      countIf(fallback IS NOT NULL OR intent != '') AS classified,
      countIf(handoff) AS handoff_turns, countIf(NOT foreign) AS own_turns,
      sum(toUInt128(input_tokens)) AS input_tokens,
      sum(toUInt128(output_tokens)) AS output_tokens,
      sum(toUInt128(cache_read_tokens)) AS cache_read_tokens,
      sum(toUInt128(reasoning_tokens)) AS reasoning_tokens,
      countIf({{ tokens_known }}) AS token_turns,
      sum(cost) AS cost, count(cost) AS priced_turns,
      countIf(cost IS NULL AND (cost_source = 'unpriced' OR {{ tokens_known }})) AS unpriced_turns,
      sum({{ billionths('duration') }}) AS duration_sum,
      count(time_to_first_chunk) AS first_chunks,
      sum({{ billionths('time_to_first_chunk') }}) AS first_chunk_sum,
      count(confidence) AS confidences, sum({{ billionths('confidence') }}) AS confidence_sum,
      countIf(confidence < {{ n.LOW_CONFIDENCE_THRESHOLD }}) AS low_confidence,
      argMin((environment, agent, agent_version, variant, channel, platform, location, user_type,
        {{ answering_model }}, page, referrer, user_agent, user_hash), (start, trace_id, span_id)) AS first,
      arraySort(groupUniqArrayIf(user_hash, user_hash != '')) AS users,
      groupUniqArrayIf(page, page != '') AS pages,
      arraySort(groupUniqArray({{ combination }})) AS combinations,
      groupArray((hex(trace_id), {{ combination }})) AS combination_of,
      groupUniqArrayIf(handoff_reason, handoff) AS handoff_reasons,
      argMaxIf(intent, (start, trace_id, span_id), intent != '') AS last_intent,
      groupArraySorted({{ most }})((toUnixTimestamp64Nano(start), trace_id, span_id, toString(intent),
        toString({{ answering_model }}), duration, confidence)) AS in_order
    FROM turns FINAL
    WHERE (tenant, conversation_id) IN keys AND conversation_id IN {{ '{ids:Array(String)}' }}
      AND start >= seen_first AND start <= seen_last
    GROUP BY tenant, conversation_id
  ),
  e AS (
    SELECT tenant, conversation_id,
      min(time) AS events_from, max(time) AS events_to,
      maxIf(time, {{ among(activity) }}) AS active_to,
      countIf({{ ends }}) AS ends,
      argMaxIf(indexOf(['resolved', 'handed_off', 'abandoned', 'failed'], toString(events.outcome)),
        (time, uid), {{ ends }} AND events.outcome IN ('resolved', 'handed_off', 'abandoned', 'failed')) AS explicit,
      argMaxIf(reason, (time, uid), {{ ends }}) AS end_reason,
      countIf({{ among(handoff_events) }}) AS handoff_events,
      countIf({{ feedback }} AND {{ positive }}) AS positive,
      countIf({{ feedback }} AND {{ negative }}) AS negative,
      countIf(name = '{{ n.EVENT_ACTION }}') AS actions,
      {%- for sender in n.SENDERS %}
      countIf(name = '{{ n.EVENT_MESSAGE }}' AND sender = '{{ sender }}') AS {{ sender }}_messages,
      {%- endfor %}
      countIf({{ feedback }} AND isNotNull(score)) AS scores,
      sumIf({{ billionths('score') }}, {{ feedback }}) AS score_sum,
      countIf({{ feedback }} AND isNotNull(value)) AS rated,
      sumIf({{ billionths('value') }}, {{ feedback }}) AS rating_sum,
      groupUniqArrayIf(page, page != '') AS event_pages,
      groupUniqArrayIf(reason, name = '{{ n.EVENT_HANDOFF_REQUESTED }}') AS asked_for,
      arraySort(groupArrayIf(topic, name = '{{ n.EVENT_TOPIC }}' AND topic != '')) AS topics,
      arraySort(groupArrayIf(lead_kind, name = '{{ n.EVENT_LEAD }}')) AS leads,
      arraySort(groupArrayIf((toUnixTimestamp64Nano(time), uid, hex(trace_id), toString(evaluation), value,
        scale_min, scale_max, score), {{ rated }})) AS rated_in_order,
      arraySort(groupArrayIf((toUnixTimestamp64Nano(time),
        indexOf([{% for name in workflow_events %}'{{ name }}'{{ ', ' if not loop.last }}{% endfor %}], toString(name)),
        toString(workflow), toString(step)), {{ among(workflow_events) }} AND workflow != '')) AS moves,
      groupArrayIf(workflow, name = '{{ n.EVENT_WORKFLOW_STARTED }}') AS begun,
      groupArrayIf(workflow, {{ among(workflow_events[1:]) }}) AS done,
      groupArraySortedIf({{ most }})((toUnixTimestamp64Nano(time), uid, splitByChar('.', toString(name))[-1],
        multiIf(name = '{{ n.EVENT_ACTION }}', toString(action), name = '{{ n.EVENT_TOPIC }}', toString(topic),
          name = '{{ n.EVENT_LEAD }}', toString(lead_kind), name = '{{ n.EVENT_HANDOFF_REQUESTED }}', toString(reason),
          toString(workflow)), toString(step)), {{ among(steps) }}) AS steps
    FROM events FINAL
    WHERE (tenant, conversation_id) IN keys AND conversation_id IN {{ '{ids:Array(String)}' }}
      AND time >= seen_first AND time <= seen_last
    GROUP BY tenant, conversation_id
  ),
  worked_out AS (
    SELECT *,
      explicit > 0 AS told,
      handoff_turns + handoff_events > 0 AS with_human,
      arrayExists(w -> countEqual(begun, w) > countEqual(done, w), begun) AS left_open,
      multiIf(told, explicit, with_human, 2, last_turn = 2, 4, positive > 0, 1,
        last_turn = 1 OR negative > 0 OR left_open, 3, 1) AS number,
      arrayMap(w -> (w, arrayFilter(x -> x.3 = w, moves)), arrayDistinct(arrayMap(x -> x.3, moves))) AS runs,
      -- When it moved last, its name, the last step of its last run, and whether it was left there.
      arrayMap(run -> (
        run.2[-1].1, run.1,
        arrayLast(x -> x.4 != '', arraySlice(run.2, greatest(arrayLastIndex(x -> x.2 = 1, run.2), 1))).4,
        run.2[-1].2 = 2 OR arrayCount(x -> x.2 = 1, run.2) > arrayCount(x -> x.2 != 1, run.2)
      ), runs) AS workflows,
      arraySort(arrayFilter(x -> x.4, workflows))[-1] AS left_at
    FROM t LEFT JOIN e USING (tenant, conversation_id)
  )
SELECT tenant, toDate32(started_at), conversation_id, 0, {{ '{version:UInt64}' }}, 0,
  if(events_from = 0, started_at, least(started_at, events_from)), greatest(last_start, events_to), started_at,
  greatest(turns_end, active_to), ends > 0, number,
  number = 1 AND (told OR positive > 0), with_human, left_open, last_turn, turns, replies,
  errors, fallbacks, classified, handoff_turns, handoff_events, own_turns, positive, negative,
  actions, user_messages, assistant_messages, system_messages, human_messages, input_tokens,
  output_tokens, cache_read_tokens, reasoning_tokens, token_turns, cost, priced_turns,
  unpriced_turns, duration_sum, first_chunks, first_chunk_sum, confidences, confidence_sum,
  low_confidence, scores, score_sum, rated, rating_sum, first.1, first.2, first.3, first.4,
  first.5, first.6, first.7, first.8, first.9, first.10, first.11, first.12, first.13, users,
  arraySort(arrayDistinct(arrayConcat(pages, event_pages))), combinations,
  arrayMap((x, nth) -> (x.1, x.4, x.5, x.6, x.7, x.8,
      if(nth = 0, 0, indexOf(combinations, combination_of[nth].2))),
    rated_in_order, arrayMap(x -> indexOf(combination_of.1, x.3), rated_in_order)),
  arraySort(arrayDistinct(arrayConcat(handoff_reasons, asked_for))), topics, leads, last_intent, end_reason,
  turns > {{ most }} OR length(steps) = {{ most }},
  in_order.1, in_order.4, in_order.5, in_order.6, in_order.7,
  steps.1, steps.3, steps.4, steps.5,
  (left_at.2, left_at.3),
  arrayDistinct(arrayConcat(arrayMap(run -> (run.1, ''), runs), arrayMap(x -> (x.3, x.4), moves)))
FROM worked_out
