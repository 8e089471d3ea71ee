"""The HTTP interface of statistics, served from rows: no request touches a chain or a service."""

from ninja import Router

from apps.stats.api import activity_paths, day_paths, former_paths, health_paths, history_paths
from apps.stats.api.answers import refuse_other_methods

own_routers: dict[str, Router] = {
    "/stats": health_paths.router,
    "/stats/activity": activity_paths.router,
}
former_router = former_paths.router
health_paths.router.add_router("", history_paths.router)
activity_paths.router.add_router("", day_paths.router)

refuse_other_methods(health_paths.router, ("/chains", "/bridges", "/overview"))
refuse_other_methods(history_paths.router, ("/bridges/history", "/chains/{chain}/history"))
refuse_other_methods(activity_paths.router, ("", "/hours"))
refuse_other_methods(day_paths.router, ("/days",))
refuse_other_methods(former_router, ("/24h", "/history"))

__all__ = ["former_router", "own_routers"]
