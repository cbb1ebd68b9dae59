"""What the shop's flows share."""

REGIONS = ("eu", "us", "asia")
NIGHTLY = "0 3 * * *"
ZONE = "Europe/Berlin"


def orders(region, day):
    """Orders of a region on a day of the month; stands in for a query."""
    return [10 * (1 + REGIONS.index(region)) + hour * day % 7 for hour in range(24)]
