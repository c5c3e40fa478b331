-- +goose Up
-- Rights of programs to act as an account. Only the hash of a key is kept.
CREATE TABLE api_key (
    id         TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    prefix     TEXT NOT NULL,
    hash       TEXT NOT NULL UNIQUE, -- hex SHA-256
    scope      TEXT NOT NULL,        -- the widest: read, write, admin
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL DEFAULT 0, -- 0: never
    used_at    BIGINT NOT NULL DEFAULT 0,
    uses       BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX api_key_account ON api_key (account_id);

-- +goose Down
DROP TABLE api_key;
