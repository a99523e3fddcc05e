"""The report: a folder of pages that can be read from disk, made from files alone."""
