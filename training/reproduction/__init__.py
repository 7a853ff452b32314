"""``vitrine reproduce``: every job and study, and a page that puts what came out beside what the courses print."""
