"""Everything under exports/: registry, model card, manifest, signing, models.config, routing and sync."""
