-- Roles, limits and users of the store, for who administers the ClickHouse servers; run once, with
-- {cluster}, {database} and the two {..._sha256} (of long random passwords) put in. `otel-chat
-- serve` needs the first user alone; row policies are not needed, because every statement of the
-- server carries its tenants.
-- Not run here: no server was at hand. The tests have the engine's parser read every statement.
CREATE DATABASE IF NOT EXISTS {database} ON CLUSTER '{cluster}';

CREATE SETTINGS PROFILE IF NOT EXISTS otel_chat_server ON CLUSTER '{cluster}'
SETTINGS max_memory_usage = 8000000000, max_execution_time = 300, insert_quorum = 'auto',
  insert_quorum_parallel = 1, distributed_foreground_insert = 1, fsync_after_insert = 1;

CREATE SETTINGS PROFILE IF NOT EXISTS otel_chat_reader ON CLUSTER '{cluster}'
SETTINGS readonly = 2, max_memory_usage = 4000000000, max_execution_time = 60;

CREATE ROLE IF NOT EXISTS otel_chat_server ON CLUSTER '{cluster}' SETTINGS PROFILE 'otel_chat_server';

GRANT ON CLUSTER '{cluster}' SELECT, INSERT, CREATE TABLE, CREATE VIEW, ALTER DELETE, ALTER UPDATE,
  ALTER COLUMN, ALTER INDEX, ALTER VIEW, OPTIMIZE, TRUNCATE, DROP TABLE ON {database}.*
TO otel_chat_server;

GRANT ON CLUSTER '{cluster}' CLUSTER, REMOTE ON *.* TO otel_chat_server;

CREATE ROLE IF NOT EXISTS otel_chat_reader ON CLUSTER '{cluster}' SETTINGS PROFILE 'otel_chat_reader';

GRANT ON CLUSTER '{cluster}' SELECT ON {database}.* TO otel_chat_reader;

CREATE USER IF NOT EXISTS otel_chat ON CLUSTER '{cluster}'
IDENTIFIED WITH sha256_hash BY '{server_sha256}' DEFAULT ROLE otel_chat_server;

GRANT ON CLUSTER '{cluster}' otel_chat_server TO otel_chat;

CREATE USER IF NOT EXISTS otel_chat_grafana ON CLUSTER '{cluster}'
IDENTIFIED WITH sha256_hash BY '{reader_sha256}' DEFAULT ROLE otel_chat_reader;

GRANT ON CLUSTER '{cluster}' otel_chat_reader TO otel_chat_grafana;

CREATE QUOTA IF NOT EXISTS otel_chat_reader ON CLUSTER '{cluster}' KEYED BY user_name
FOR INTERVAL 1 hour MAX queries = 20000, execution_time = 3600 TO otel_chat_reader;
