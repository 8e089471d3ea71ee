// The documents need the theme toggle and nothing else.

import { start } from "./theme.js";

start(() => {});
