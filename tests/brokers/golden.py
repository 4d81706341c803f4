"""TradeStation's JSON as its documentation and captured replies show it: the samples both sides are checked against.

Written from the vendor's pages, not from our code, so that a misreading cannot hide.
"""

BARS = b"""{"Bars":[{"High":"6021.25","Low":"6019.5","Open":"6020","Close":"6020.75","TimeStamp":"2026-11-20T15:01:00Z",
 "TotalVolume":"1834","DownTicks":402,"DownVolume":911,"OpenInterest":"0","IsRealtime":false,"IsEndOfHistory":true,
 "TotalTicks":801,"UnchangedTicks":0,"UnchangedVolume":0,"UpTicks":399,"UpVolume":923,
 "Epoch":1795186860000,"BarStatus":"Closed"}]}"""

BAR_LINE = (
    b'{"High":"6021.25","Low":"6019.5","Open":"6020","Close":"6020.75","TimeStamp":"2026-11-20T15:01:00Z",'
    b'"TotalVolume":"1834","DownTicks":402,"DownVolume":911,"OpenInterest":"0","IsRealtime":false,'
    b'"IsEndOfHistory":true,"TotalTicks":801,"UnchangedTicks":0,"UnchangedVolume":0,"UpTicks":399,'
    b'"UpVolume":923,"Epoch":1795186860000,"BarStatus":"Closed"}'
)

SYMBOLS = b"""{"Symbols":[{"AssetType":"FUTURE","Country":"United States","Currency":"USD",
 "Description":"E-mini S&P 500 Dec 2026",
 "Exchange":"CME","ExpirationDate":"2026-12-18T00:00:00Z","FutureType":"Electronic","Symbol":"ESZ26","Root":"ES","Underlying":"ES",
 "PriceFormat":{"Format":"Decimal","Decimals":"2","IncrementStyle":"Simple","Increment":"0.25","PointValue":"50"},
 "QuantityFormat":{"Format":"Decimal","Decimals":"0","IncrementStyle":"Simple","Increment":"1",
  "MinimumTradeQuantity":"1"}}],"Errors":[]}"""

ACCOUNTS = b"""{"Accounts":[{"AccountID":"SIM100001M","Currency":"USD","Status":"Active","AccountType":"Margin",
  "AccountDetail":{"IsStockLocateEligible":false,"EnrolledInRegTProgram":true,"RequiresBuyingPowerWarning":true,
  "DayTradingQualified":true,"OptionApprovalLevel":3,"PatternDayTrader":false}},
 {"AccountID":"SIM100001F","Currency":"USD","Status":"Active","AccountType":"Futures"}]}"""

BALANCES = b"""{"Balances":[{"AccountID":"SIM100001F","AccountType":"Futures","CashBalance":"100000",
 "BuyingPower":"84500","Equity":"100125",
 "MarketValue":"301037.5","TodaysProfitLoss":"125","UnclearedDeposit":"0","Commission":"2.5",
 "BalanceDetail":{"DayTradeExcess":"84500","RealizedProfitLoss":"0","UnrealizedProfitLoss":"125","DayTradeOpenOrderMargin":"0",
  "OpenOrderMargin":"0","DayTradeMargin":"15500","InitialMargin":"15500","MaintenanceMargin":"14100","TradeEquity":"125",
  "SecurityOnDeposit":"0","TodayRealTimeTradeEquity":"125"},
 "CurrencyDetails":[{"Currency":"USD","Commission":"2.5","CashBalance":"100000","RealizedProfitLoss":"0","UnrealizedProfitLoss":"125",
  "InitialMargin":"15500","MaintenanceMargin":"14100","AccountConversionRate":"1"}]}],"Errors":[]}"""

POSITION_LINE = (
    b'{"AccountID":"SIM100001F","AveragePrice":"6018.25","AssetType":"FUTURE","Last":"6020.75","Bid":"6020.75",'
    b'"Ask":"6021","ConversionRate":"1","DayTradeRequirement":"500","ExpirationDate":"2026-12-18T00:00:00Z",'
    b'"InitialRequirement":"15500","MaintenanceMargin":"14100","PositionID":"64000001","LongShort":"Long",'
    b'"Quantity":"1","Symbol":"ESZ26","Timestamp":"2026-11-20T14:58:03Z","TodaysProfitLoss":"125",'
    b'"TotalCost":"300912.5","MarketValue":"301037.5","MarkToMarketPrice":"6018.25",'
    b'"UnrealizedProfitLoss":"125","UnrealizedProfitLossPercent":"0.042","UnrealizedProfitLossQty":"125"}'
)
POSITIONS = b'{"Positions":[' + POSITION_LINE + b'],"Errors":[]}'
POSITION_DELETED = b'{"PositionID":"64000001","Deleted":true}'

ORDER_LINE = (
    b'{"AccountID":"SIM100001F","AdvancedOptions":"STPTRG=STT;","ClosedDateTime":"2026-11-20T15:04:22Z",'
    b'"CommissionFee":"1.25","Currency":"USD","ConversionRate":"1","Duration":"GTC","FilledPrice":"6025.5",'
    b'"GoodTillDate":"2027-02-18T00:00:00Z","Legs":[{"AssetType":"FUTURE","BuyOrSell":"Buy","ExecQuantity":"1",'
    b'"ExecutionPrice":"6025.5","ExpirationDate":"2026-12-18T00:00:00Z","QuantityOrdered":"1",'
    b'"QuantityRemaining":"0","Symbol":"ESZ26","Underlying":"ES"}],"OpenedDateTime":"2026-11-20T15:01:07Z",'
    b'"OrderID":"1200000001","OrderType":"StopMarket","PriceUsedForBuyingPower":"6025.25","Status":"FLL",'
    b'"StatusDescription":"Filled","StopPrice":"6025.25","UnbundledRouteFee":"0"}'
)
ORDERS = b'{"Orders":[' + ORDER_LINE + b'],"Errors":[]}'

PARTIAL = b"""{"Balances":[],"Errors":[{"AccountID":"SIM9X",
 "Error":"Forbidden","Message":"Request not supported for account type."}]}"""

PLACED = b'{"Orders":[{"Message":"Sent order: Buy 1 ESZ26 @ 6015.25 Limit","OrderID":"1200000002"}]}'
PLACING_REFUSED = (
    b'{"Orders":[{"Error":"FAILED","Message":"Order failed. Reason: EC602: You are short 0.00 shares!",'
    b'"OrderID":"1200000003"}]}'
)
PLACING_DUPLICATE = (
    b'{"Orders":[{"Error":"FAILED","Message":"Order not placed because a unique orderconfirmid already exists.",'
    b'"OrderID":""}]}'
)
REPLACED = b'{"Message":"Cancel/Replace order sent.","OrderID":"1200000002"}'
CANCELLED = b'{"Message":"Cancel request sent","OrderID":"1200000002"}'

HEARTBEAT = b'{"Heartbeat":7,"Timestamp":"2026-11-20T15:00:05Z"}'
END_SNAPSHOT = b'{"StreamStatus":"EndSnapshot"}'
GOAWAY_V3 = b'{"StreamStatus":"GoAway"}'
GOAWAY_V2 = b'{"Error":"GoAway","Message":"Server is going away."}'

TOKEN = b"""{"access_token":"eyJ.new","id_token":"eyJ.id","token_type":"Bearer",
 "scope":"openid offline_access","expires_in":1200}"""
TOKEN_ROTATED = b"""{"access_token":"eyJ.new","id_token":"eyJ.id","refresh_token":"refresh-2",
 "token_type":"Bearer","scope":"openid offline_access MarketData ReadAccount Trade","expires_in":1200}"""
INVALID_GRANT = b'{"error":"invalid_grant","error_description":"Unknown or invalid refresh token."}'

GROUP_PLACED = (
    b'{"Orders":[{"Message":"Sent order: Sell 1 ESZ26 @ 6030.00 Limit","OrderID":"1200000005"},'
    b'{"Message":"Sent order: Sell 1 ESZ26 @ 6004.00 Stop Market","OrderID":"1200000006"}]}'
)
GROUP_MIXED = (
    b'{"Orders":[{"Message":"Sent order: Sell 1 ESZ26 @ 6030.00 Limit","OrderID":"1200000005"}],'
    b'"Errors":[{"Error":"FAILED","Message":"Order failed. Reason: EC602","OrderID":"1200000006"}]}'
)

QUOTES = b"""{"Quotes":[{"Symbol":"ESZ26","Open":"6012","High":"6024.75","Low":"6008.25","PreviousClose":"6010.5",
 "Last":"6020.75","Ask":"6021","AskSize":"14","Bid":"6020.75","BidSize":"9","NetChange":"10.25","NetChangePct":"0.17","High52Week":"6190",
 "High52WeekTimestamp":"2026-10-02T00:00:00Z","Low52Week":"4890.5","Low52WeekTimestamp":"2026-04-07T00:00:00Z",
 "Volume":"812345","PreviousVolume":"1433210","Close":"6020.75","DailyOpenInterest":"2110345",
 "TradeTime":"2026-11-20T15:00:59Z",
 "TickSizeTier":"0","MarketFlags":{"IsDelayed":false,"IsHardToBorrow":false,"IsBats":false,"IsHalted":false},
 "LastSize":"1","LastVenue":"CME","VWAP":"6017.9213"}],"Errors":[]}"""
QUOTE_CHANGE = b'{"Symbol":"ESZ26","Bid":"6021","BidSize":"3"}'
QUOTE_ERROR = b'{"Symbol":"X","Error":"FAILED, INVALID SYMBOL"}'
DUAL_LOGON = b'{"Symbol":"AAPL","Error":"DualLogon"}'

TRAILING_ORDER_LINE = (
    b'{"AccountID":"SIM100001F","AdvancedOptions":"TRL=5%;","CommissionFee":"0","Currency":"USD","Duration":"DAY",'
    b'"FilledPrice":"0","Legs":[{"AssetType":"FUTURE","BuyOrSell":"Sell","ExecQuantity":"0","QuantityOrdered":"1",'
    b'"QuantityRemaining":"1","Symbol":"ESZ26"}],"OpenedDateTime":"2026-11-20T15:01:07Z","OrderID":"1200000007",'
    b'"OrderType":"StopMarket","Status":"ACK","StatusDescription":"Received","StopPrice":"5719.75",'
    b'"TrailingStop":{"Percent":"5"},"GroupName":"OCO 17",'
    b'"ConditionalOrders":[{"Relationship":"OCO","OrderID":"1200000008"}]}'
)
