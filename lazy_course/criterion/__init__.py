"""When does lazy training occur? The criterion, the inverse relative scale, and what they promise."""
