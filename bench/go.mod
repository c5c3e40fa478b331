module byline/bench

go 1.26
