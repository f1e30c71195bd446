"""From an archive of pictures and reports to a corpus: matches, info bars, scales, text left over."""
