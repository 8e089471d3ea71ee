// However many updates arrive, each view draws once per animation frame.

const waiting = new Set();
let asked = false;

/** Has `draw` run in the next frame; asking again before that changes nothing. */
export function soon(draw) {
  waiting.add(draw);
  if (asked) return;
  asked = true;
  requestAnimationFrame(run);
}

function run() {
  asked = false;
  const draws = [...waiting];
  waiting.clear();
  for (const draw of draws) draw();
}
