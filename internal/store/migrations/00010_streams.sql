-- +goose Up
-- What lets a browser open a stream, once. Only the hash is kept; the row goes when the ticket is used.
CREATE TABLE stream_ticket (
    hash       TEXT PRIMARY KEY, -- hex SHA-256
    path       TEXT NOT NULL,
    account_id TEXT NOT NULL,    -- empty for the local token
    login      TEXT NOT NULL,    -- the family of refresh tokens
    until      BIGINT NOT NULL,  -- when the access token that it came from runs out; 0: never
    expires_at BIGINT NOT NULL   -- by the database's clock
);
CREATE INDEX stream_ticket_expires ON stream_ticket (expires_at);

-- Who holds an open stream may have logged out: asked every two seconds, about all of them together.
CREATE INDEX refresh_token_revoked ON refresh_token (family) WHERE revoked = 1;

-- +goose Down
DROP INDEX refresh_token_revoked;
DROP TABLE stream_ticket;
