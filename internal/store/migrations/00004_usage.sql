-- What models were asked for, and what that used.

-- +goose Up
-- A row for each request to a model that used anything. It holds no text, and stays when its run is gone: it says what was paid.
CREATE TABLE model_usage (
    id        TEXT PRIMARY KEY,
    workspace TEXT NOT NULL, -- '' nobody's
    run_id    TEXT NOT NULL, -- '' outside runs
    user_id   TEXT NOT NULL, -- '' the command line
    provider  TEXT NOT NULL, -- openai, ollama
    model     TEXT NOT NULL,
    purpose   TEXT NOT NULL, -- plan, write, judge ...
    input     BIGINT NOT NULL, -- tokens
    cached    BIGINT NOT NULL, -- of the input
    output    BIGINT NOT NULL,
    cost      DOUBLE PRECISION, -- NULL: the price was not known
    estimated BIGINT NOT NULL, -- 1: the provider told nothing, so the tokens were counted here
    month     BIGINT NOT NULL, -- of at, in UTC: 202501
    at        BIGINT NOT NULL
);
CREATE INDEX model_usage_run ON model_usage (run_id);
CREATE INDEX model_usage_workspace ON model_usage (workspace, at);
CREATE INDEX model_usage_user ON model_usage (user_id, at);
CREATE INDEX model_usage_at ON model_usage (at);

-- +goose Down
DROP TABLE model_usage;
