"""What an account is worth, in the venue's words: tradestation-v3, section 5.2. PURE.

Cash and gains are exact. Requirements and buying power are for display: the emulator refuses no order for margin.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from brokers.tradestation.emulator.ledger import Account, traded
from brokers.tradestation.emulator.market import Market
from brokers.tradestation.emulator.wire import Object, last_price, number, requirement_usd

_DAY_S = 86_400


def balance_object(account: Account, market: Market, at_utc: float) -> Object:
    value_usd = cost_usd = required_usd = Decimal(0)
    for position in account.positions.values():
        worth_usd = position.quantity * last_price(market, position, at_utc) * traded(position.symbol).point_usd
        value_usd += worth_usd
        cost_usd += position.cost_usd
        required_usd += requirement_usd(position, worth_usd)
    today = account.day == int(at_utc // _DAY_S)
    figures = _Figures(
        cash_usd=account.cash_usd,
        value_usd=value_usd,
        cost_usd=cost_usd,
        required_usd=required_usd,
        realized_usd=account.day_realized_usd if today else Decimal(0),
        commission_usd=account.day_commission_usd if today else Decimal(0),
        equity_usd=account.cash_usd + (value_usd - cost_usd if account.kind == "Futures" else value_usd),
    )
    return _futures_balance(account, figures) if account.kind == "Futures" else _stock_balance(account, figures)


class _Figures(msgspec.Struct, frozen=True):
    cash_usd: Decimal
    value_usd: Decimal
    cost_usd: Decimal
    required_usd: Decimal
    realized_usd: Decimal
    commission_usd: Decimal
    equity_usd: Decimal

    @property
    def unrealized_usd(self) -> Decimal:
        return self.value_usd - self.cost_usd


def _head(account: Account, figures: _Figures, buying_power_usd: Decimal) -> Object:
    return {
        "AccountID": account.account,
        "AccountType": account.kind,
        "CashBalance": number(figures.cash_usd),
        "BuyingPower": number(buying_power_usd),
        "Equity": number(figures.equity_usd),
        "MarketValue": number(figures.value_usd),
        "TodaysProfitLoss": number(figures.realized_usd + figures.unrealized_usd),
        "UnclearedDeposit": "0",
        "Commission": number(figures.commission_usd),
    }


def _futures_balance(account: Account, figures: _Figures) -> Object:
    free, gain = number(figures.equity_usd - figures.required_usd), number(figures.unrealized_usd)
    required, realized = number(figures.required_usd), number(figures.realized_usd)
    detail = {
        "DayTradeExcess": free,
        "RealizedProfitLoss": realized,
        "UnrealizedProfitLoss": gain,
        "DayTradeOpenOrderMargin": "0",
        "OpenOrderMargin": "0",
        "DayTradeMargin": required,
        "InitialMargin": required,
        "MaintenanceMargin": required,
        "TradeEquity": gain,
        "SecurityOnDeposit": "0",
        "TodayRealTimeTradeEquity": gain,
    }
    currency = {
        "Currency": "USD",
        "Commission": number(figures.commission_usd),
        "CashBalance": number(figures.cash_usd),
        "RealizedProfitLoss": realized,
        "UnrealizedProfitLoss": gain,
        "InitialMargin": required,
        "MaintenanceMargin": required,
        "AccountConversionRate": "1",
    }
    head = _head(account, figures, figures.equity_usd - figures.required_usd)
    return {**head, "BalanceDetail": detail, "CurrencyDetails": [currency]}


def _stock_balance(account: Account, figures: _Figures) -> Object:
    """Buying power: twice the free equity on margin, else the cash."""
    overnight_usd = 2 * (figures.equity_usd - figures.required_usd) if account.kind == "Margin" else figures.cash_usd
    detail = {
        "CostOfPositions": number(figures.cost_usd),
        "DayTrades": "0",
        "MaintenanceRate": "0",
        "OptionBuyingPower": number(figures.cash_usd),
        "OptionsMarketValue": "0",
        "OvernightBuyingPower": number(overnight_usd),
        "RequiredMargin": number(figures.required_usd),
        "UnsettledFunds": "0",
        "DayTradeExcess": number(figures.equity_usd - figures.required_usd),
        "RealizedProfitLoss": number(figures.realized_usd),
        "UnrealizedProfitLoss": number(figures.unrealized_usd),
    }
    return {**_head(account, figures, overnight_usd), "BalanceDetail": detail}
