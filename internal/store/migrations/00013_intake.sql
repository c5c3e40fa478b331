-- What was taken in for the logs of runs and is not in them yet: the newest tokens of all runs that write, one row a commit. SQLite only.
-- Each run's log has pages of its own, and a page is written whole; so tokens come here first, and are moved to their logs many at a time.

-- +goose Up
CREATE TABLE run_intake (
    id   INTEGER PRIMARY KEY, -- in the order of commits
    data TEXT NOT NULL        -- {"run", "seq", "at", "data"} for each event, one behind the other
);

-- +goose Down
DROP TABLE run_intake;
