"""The main job of each system on phantoms, from nothing to a page."""
