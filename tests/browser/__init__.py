"""A headless Chromium for tests of pages."""
