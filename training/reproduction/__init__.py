"""``vitrine reproduce``: run every job and study, and compare the figures."""
