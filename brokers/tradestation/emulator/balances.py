"""What an account is worth, in the venue's words. PURE.

Cash and gains are exact. Equity is cash and gains (futures) or cash and market value, so that it is always the start
plus realized plus unrealized gains less commissions. How SIM checks margin is not known; here an order that opens is
refused where its requirement exceeds the buying power shown: for futures the table's initial margin; on margin four
times the excess over a quarter of the exposure (twice overnight); else the cash. What closes is never refused.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from brokers.tradestation.emulator.instruments import Instrument
from brokers.tradestation.emulator.ledger import traded
from brokers.tradestation.emulator.money import Account, trading_day
from brokers.tradestation.emulator.order import Order
from brokers.tradestation.emulator.wire import Object, last_price, number, requirement_usd

if TYPE_CHECKING:
    from brokers.tradestation.emulator.state import State

_DAY_TRADE_LEVERAGE = 4
_OVERNIGHT_LEVERAGE = 2


def balance_object(state: State, account: Account, at_utc: float) -> Object:
    figures = figures_of(state, account, at_utc, _open_orders_usd(state, account, at_utc, without=""))
    return _futures_balance(account, figures) if account.kind == "Futures" else _stock_balance(account, figures)


def buying_power_refusal(state: State, order: Order, about: Instrument, instead_of: str = "") -> str:
    """Why an order (in place of ``instead_of``, where it is a replace) is beyond the means; "" where it is not. The
    text is ours: the venue's was not seen."""
    if not state.rules.buying_power_checked:
        return ""
    account = state.ledger.accounts[order.account]
    at_utc = order.armed_utc
    needed_usd = _requirement_usd(state, account, order, about, at_utc)
    if not needed_usd:
        return ""
    kept_back_usd = _open_orders_usd(state, account, at_utc, without=instead_of)
    free_usd = figures_of(state, account, at_utc, kept_back_usd).buying_power_usd(account.kind)
    if needed_usd <= free_usd:
        return ""
    return f"Insufficient buying power: {number(needed_usd)} USD needed, {number(free_usd)} USD available"


def price_usd(state: State, order: Order, at_utc: float) -> Decimal | None:
    """What an order is reckoned at: its limit, its stop, else the last price."""
    if order.limit_price is not None or order.stop_price is not None:
        return order.limit_price if order.limit_price is not None else order.stop_price
    series = state.market.series(order.symbol)
    last = series.last_print(at_utc) if series else None
    return last.price if last else None


def _requirement_usd(state: State, account: Account, order: Order, about: Instrument, at_utc: float) -> Decimal:
    """Of the part that does not close the position there is."""
    held = account.quantity(order.symbol)
    closable = max(0, -held if order.is_buy else held)
    opening = max(0, order.remaining - closable)
    if not opening:
        return Decimal(0)
    if about.is_future:
        return about.initial_margin_usd * opening
    return (price_usd(state, order, at_utc) or Decimal(0)) * opening


def _open_orders_usd(state: State, account: Account, at_utc: float, without: str) -> Decimal:
    """What the open orders keep back. Children wait for their parent; of a group one side can fill, so one counts."""
    total_usd = Decimal(0)
    groups: dict[int, Decimal] = {}
    for order in (state.ledger.orders[one] for one in state.ledger.open_ids if one != without):
        if order.account != account.account or order.waiting:
            continue
        usd = _requirement_usd(state, account, order, traded(order.symbol), at_utc)
        if order.group:
            groups[order.group] = max(groups.get(order.group, Decimal(0)), usd)
        else:
            total_usd += usd
    return total_usd + sum(groups.values(), Decimal(0))


def figures_of(state: State, account: Account, at_utc: float, kept_back_usd: Decimal) -> Figures:
    market = state.market
    value_usd = cost_usd = required_usd = exposed_usd = Decimal(0)
    for position in account.positions.values():
        worth_usd = position.quantity * last_price(market, position, at_utc) * traded(position.symbol).point_usd
        value_usd += worth_usd
        cost_usd += position.cost_usd
        exposed_usd += abs(worth_usd)
        required_usd += requirement_usd(position, worth_usd)
    today = account.day == trading_day(account.kind, at_utc)
    return Figures(
        cash_usd=account.cash_usd,
        value_usd=value_usd,
        cost_usd=cost_usd,
        required_usd=required_usd,
        exposed_usd=exposed_usd,
        open_orders_usd=kept_back_usd,
        realized_usd=account.day_realized_usd if today else Decimal(0),
        commission_usd=account.day_commission_usd if today else Decimal(0),
        equity_usd=account.cash_usd + (value_usd - cost_usd if account.kind == "Futures" else value_usd),
    )


class Figures(msgspec.Struct, frozen=True):
    cash_usd: Decimal
    value_usd: Decimal
    cost_usd: Decimal
    required_usd: Decimal
    exposed_usd: Decimal
    open_orders_usd: Decimal
    realized_usd: Decimal
    commission_usd: Decimal
    equity_usd: Decimal

    @property
    def unrealized_usd(self) -> Decimal:
        return self.value_usd - self.cost_usd

    @property
    def day_excess_usd(self) -> Decimal:
        """Of an equity account: what a quarter of the exposure leaves."""
        return self.equity_usd - self.exposed_usd / _DAY_TRADE_LEVERAGE

    def buying_power_usd(self, kind: str) -> Decimal:
        if kind == "Futures":
            return self.equity_usd - self.required_usd - self.open_orders_usd
        if kind == "Margin":
            return _DAY_TRADE_LEVERAGE * self.day_excess_usd - self.open_orders_usd
        return self.cash_usd - self.open_orders_usd


def _head(account: Account, figures: Figures) -> Object:
    return {
        "AccountID": account.account,
        "AccountType": account.kind,
        "CashBalance": number(figures.cash_usd),
        "BuyingPower": number(figures.buying_power_usd(account.kind)),
        "Equity": number(figures.equity_usd),
        "MarketValue": number(figures.value_usd),
        "TodaysProfitLoss": number(figures.realized_usd + figures.unrealized_usd),
        "UnclearedDeposit": "0",
        "Commission": number(figures.commission_usd),
    }


def _futures_balance(account: Account, figures: Figures) -> Object:
    free, gain = number(figures.buying_power_usd("Futures")), number(figures.unrealized_usd)
    kept_back = number(figures.open_orders_usd)
    required, realized = number(figures.required_usd), number(figures.realized_usd)
    detail = {
        "DayTradeExcess": free,
        "RealizedProfitLoss": realized,
        "UnrealizedProfitLoss": gain,
        "DayTradeOpenOrderMargin": kept_back,
        "OpenOrderMargin": kept_back,
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
    return {**_head(account, figures), "BalanceDetail": detail, "CurrencyDetails": [currency]}


def _stock_balance(account: Account, figures: Figures) -> Object:
    on_margin = account.kind == "Margin"
    free_usd = figures.equity_usd - figures.required_usd
    overnight_usd = _OVERNIGHT_LEVERAGE * free_usd if on_margin else figures.cash_usd
    detail = {
        "CostOfPositions": number(figures.cost_usd),
        "DayTrades": "0",
        "MaintenanceRate": "0",
        "OptionBuyingPower": number(figures.cash_usd),
        "OptionsMarketValue": "0",
        "OvernightBuyingPower": number(overnight_usd),
        "RequiredMargin": number(figures.required_usd),
        "UnsettledFunds": "0",
        "DayTradeExcess": number(figures.day_excess_usd if on_margin else figures.cash_usd),
        "RealizedProfitLoss": number(figures.realized_usd),
        "UnrealizedProfitLoss": number(figures.unrealized_usd),
    }
    return {**_head(account, figures), "BalanceDetail": detail}
