"""The user's own pictures: a folder or a ZIP file with one folder for each class."""
