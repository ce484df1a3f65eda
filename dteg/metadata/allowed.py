"""What a statement may be made of.

A function that is not named here is refused: a server has thousands of them, and some read files, sleep, call other
servers or run a text as SQL.
"""

from sqlglot import exp

# Functions that sqlglot knows, by the names of their classes.
_FUNCTIONS = """
    Abs Acos AddMonths And AnyValue ApproxDistinct ArgMax ArgMin Array ArrayAgg ArrayAppend ArrayConcat ArrayContains
    ArrayContainsAll ArrayOverlaps ArrayPosition ArraySize ArrayToString Ascii Asin Atan Atan2 Avg BitLength Case Cast
    Cbrt Ceil Chr Coalesce Collate Concat ConcatWs Contains Corr Cos Count CountIf CovarPop CovarSamp CumeDist
    CurrentDate CurrentDatetime CurrentTime CurrentTimestamp Date DateAdd DateBin DateDiff DateFromParts DateStrToDate
    DateSub DateToDateStr DateTrunc Datetime DatetimeAdd DatetimeDiff DatetimeSub DatetimeTrunc Day DayOfMonth
    DayOfWeek DayOfWeekIso DayOfYear Dayname Degrees DenseRank EndsWith Exists Exp Explode ExplodingGenerateSeries
    Extract First FirstValue Floor Format GenerateDateArray GenerateSeries Greatest GroupConcat Grouping GroupingId
    Hour If Initcap Int64 JSONArrayAgg JSONBContains JSONBContainsAllTopKeys JSONBContainsAnyTopKeys
    JSONBContainsTopKey JSONBExists JSONBExtract JSONBExtractScalar JSONBObjectAgg JSONExtract JSONExtractScalar
    JSONKeys JSONObject JSONObjectAgg JustifyDays JustifyHours JustifyInterval Lag Last LastDay LastValue Lead Least
    Left Length Levenshtein Ln Localtime Localtimestamp Log LogicalAnd LogicalOr Lower MD5 MakeInterval Max Median Min
    Minute Mod Mode Month Monthname MonthsBetween NthValue Ntile Nullif NumberToStr Nvl2 Or Overlay ParseJSON
    PercentRank PercentileCont PercentileDisc Pi Pow Quantile Quarter Radians Rank RegexpCount RegexpExtract
    RegexpExtractAll RegexpILike RegexpInstr RegexpLike RegexpReplace RegexpSplit RegexpSubstr RegrCount RegrIntercept
    RegrR2 RegrSlope Replace Reverse Right Round RowNumber SHA2 SafeDivide Second Sign Sin Split SplitPart Sqrt
    StartsWith Stddev StddevPop StddevSamp StrPosition StrToDate StrToTime StrToUnix StringToArray Stuff Substring
    SubstringIndex Sum Tan Time TimeAdd TimeDiff TimeStrToDate TimeStrToTime TimeSub TimeToStr TimeToUnix TimeTrunc
    Timestamp TimestampAdd TimestampDiff TimestampFromParts TimestampSub TimestampTrunc ToChar ToDays ToDouble ToNumber
    Translate Trim Trunc TryCast TsOrDsAdd TsOrDsDiff TsOrDsToDate TsOrDsToDateStr TsOrDsToTimestamp Typeof Unicode
    UnixSeconds UnixToTime UnixToTimeStr Unnest Upper UtcTimestamp Variance VariancePop Week WeekOfYear WidthBucket
    Xor Year YearOfWeek YearOfWeekIso
"""
# Functions that sqlglot does not know.
_NAMED = """
    age array_length array_position array_to_string array_upper bit_length btrim cardinality cbrt char_length
    character_length date_bin date_format date_part dayofmonth format ifnull isfinite jsonb_array_elements
    jsonb_array_elements_text jsonb_array_length jsonb_each jsonb_each_text jsonb_extract_path_text jsonb_object_keys
    jsonb_typeof json_array_length json_typeof justify_days justify_hours justify_interval make_date make_interval
    make_timestamp mode octet_length overlay position regexp_match regexp_matches regr_count regr_intercept regr_r2
    regr_slope row_to_json scale starts_with str_to_date string_to_array strpos timestampdiff to_date to_jsonb
    to_timestamp trim_scale unix_timestamp width_bucket yearweek
"""
# What the clouds have besides: none of it reads a file, calls a server or runs a text, and none says who asks.
_OF_BIGQUERY = """
    ApproxQuantiles ApproxTopK ApproxTopSum ArrayFirst ArrayLast ArrayReverse DateFromUnixDate FarmFingerprint
    GenerateTimestampArray GetExtract IsInf IsNan JSONExtractArray JSONFormat JSONValueArray LaxBool LaxFloat64
    LaxInt64 LaxString Normalize Pad ParseDatetime ParseTime SafeAdd SafeMultiply SafeNegate SafeSubtract Sign String
    Struct TsOrDsToDatetime TsOrDsToTime UnixDate UnixMicros UnixMillis
"""
_OF_SNOWFLAKE = """
    ApproxQuantile ApproxTopK ArrayCompact ArrayDistinct ArrayExcept ArrayIntersect ArraySlice ArraySort Booland Boolnot
    Boolor ConvertTimezone DecodeCase EqualNull Flatten GetExtract IsArray IsNullValue JSONFormat Kurtosis NextDay
    ObjectInsert Pad PreviousDay Skewness Space Strtok Struct TimeFromParts TimeSlice ToArray ToBoolean ToVariant
    TsOrDsToTime
"""
_NAMED_OF_BIGQUERY = "bit_count ieee_divide json_type"
_NAMED_OF_SNOWFLAKE = """
    as_array as_boolean as_char as_date as_decimal as_double as_integer as_number as_object as_varchar
    conditional_change_event conditional_true_event div0null ratio_to_report to_timestamp_ltz to_timestamp_ntz
    to_timestamp_tz try_to_timestamp_ntz
"""
FUNCTIONS = frozenset(_FUNCTIONS.split())
NAMED = frozenset(_NAMED.split())
_FUNCTIONS_OF = {
    "bigquery": FUNCTIONS | set(_OF_BIGQUERY.split()),
    "snowflake": FUNCTIONS | set(_OF_SNOWFLAKE.split()),
}
_NAMED_OF = {
    "bigquery": NAMED | set(_NAMED_OF_BIGQUERY.split()),
    "snowflake": NAMED | set(_NAMED_OF_SNOWFLAKE.split()),
}


def functions_of(dialect: str) -> frozenset[str]:
    """Return the functions that a dialect may use, by the names of sqlglot's classes."""
    return _FUNCTIONS_OF.get(dialect, FUNCTIONS)


def named_of(dialect: str) -> frozenset[str]:
    """Return the functions that a dialect may use and sqlglot does not know, in small letters."""
    return _NAMED_OF.get(dialect, NAMED)


# What writes, locks, reads settings, or is not SQL of a query. Strings with escapes of their own are no loss, and are
# where two parsers could come to differ.
FORBIDDEN: tuple[type, ...] = (
    exp.DML, exp.DDL, exp.Command, exp.Into, exp.Lock, exp.Copy, exp.Merge, exp.Set, exp.Transaction, exp.Commit,
    exp.Rollback, exp.Use, exp.Pragma, exp.Kill, exp.Describe, exp.Show, exp.Analyze, exp.LoadData, exp.Drop,
    exp.Alter, exp.TruncateTable, exp.Grant, exp.Comment, exp.Parameter, exp.SessionParameter, exp.Placeholder,
    exp.ObjectIdentifier, exp.Hint, exp.ByteString, exp.RawString, exp.UnicodeString, exp.Introducer,
    # Files of a stage; names made of texts; what a table was before, which may be more than it shall show.
    exp.DirectoryStage, exp.DynamicIdentifier, exp.HistoricalData, exp.Changes, exp.Version, exp.Put, exp.Get,
    exp.ModelAttribute,
)  # fmt: skip
