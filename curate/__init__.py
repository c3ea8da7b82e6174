"""Change: rows in, rows out, and a ledger of every row that is dropped or altered."""
