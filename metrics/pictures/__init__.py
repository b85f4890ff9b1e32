"""Pictures of what was found, for reports and slides: one file each, drawn with matplotlib (the extra `report`)."""
