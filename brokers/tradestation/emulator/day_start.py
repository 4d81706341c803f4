"""What an account was worth when its trading day began: its start and the fills until then, reckoned anew. PURE.

Path and outer shape are the venue's [spec]; the figures inside are those of its schema that mean something here.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from brokers.tradestation.emulator.balances import Figures, figures_of
from brokers.tradestation.emulator.ledger import traded
from brokers.tradestation.emulator.money import Account, day_begins_utc, settle
from brokers.tradestation.emulator.wire import Object, number

if TYPE_CHECKING:
    from brokers.tradestation.emulator.state import State

_OVERNIGHT_LEVERAGE = 2


def bod_balance_object(state: State, name: str, now_utc: float) -> Object:
    starts_utc = day_begins_utc(state.ledger.accounts[name].kind, now_utc)
    account = _account_at(state, name, starts_utc)
    figures = figures_of(state, account, starts_utc, Decimal(0))
    shown: Object = {"AccountID": name, "AccountType": account.kind}
    if account.kind == "Futures":
        return {**shown, **_futures(figures)}
    return {**shown, "BalanceDetail": _stocks(account, figures)}


def _account_at(state: State, name: str, at_utc: float) -> Account:
    spec = next(one for one in state.settings.accounts if one.account == name)
    account = Account(spec.account, spec.kind, spec.cash_usd)
    for fill in state.ledger.fills:
        if fill.account == name and fill.at_utc < at_utc:
            settle(account, fill, traded(fill.symbol), "")
    return account


def _futures(figures: Figures) -> Object:
    return {
        "BalanceDetail": {
            "CashAvailableToWithdraw": number(figures.equity_usd - figures.required_usd),
            "Equity": number(figures.equity_usd),
            "NetCash": number(figures.cash_usd),
            "OpenTradeEquity": number(figures.unrealized_usd),
        },
        "CurrencyDetails": [
            {
                "Currency": "USD",
                "AccountMarginRequirement": number(figures.required_usd),
                "AccountOpenTradeEquity": number(figures.unrealized_usd),
                "AccountSecurities": "0",
                "CashBalance": number(figures.cash_usd),
                "MarginRequirement": number(figures.required_usd),
            }
        ],
    }


def _stocks(account: Account, figures: Figures) -> Object:
    free_usd = figures.equity_usd - figures.required_usd
    overnight_usd = _OVERNIGHT_LEVERAGE * free_usd if account.kind == "Margin" else figures.cash_usd
    return {
        "AccountBalance": number(figures.cash_usd),
        "CashAvailableToWithdraw": number(min(figures.cash_usd, free_usd)),
        "DayTrades": "0",
        "DayTradingMarginableBuyingPower": number(figures.buying_power_usd(account.kind)),
        "Equity": number(figures.equity_usd),
        "NetCash": number(figures.cash_usd),
        "OptionBuyingPower": number(figures.cash_usd),
        "OptionValue": "0",
        "OvernightBuyingPower": number(overnight_usd),
    }
