// The part of the HTTP interface that tells of chains, bridges and activity.

import { get } from "./api.js";

const stats = (path, query = {}) => {
  const search = new URLSearchParams(query).toString();
  return get(`/api/v1/stats/${path}${search ? `?${search}` : ""}`);
};

export const chains = () => stats("chains");
export const chainHistory = (chain, query) => stats(`chains/${chain}/history`, query);
export const bridges = () => stats("bridges");
export const bridgeHistory = (query) => stats("bridges/history", query);
export const overview = () => stats("overview");
export const activity = (chain) => stats("activity", { chain });
export const hours = (chain) => stats("activity/hours", { chain });
