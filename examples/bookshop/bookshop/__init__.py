"""A small bookshop: `api` serves customers, `admin` the back office, `worker` what takes longer."""
