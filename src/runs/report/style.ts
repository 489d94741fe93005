/** The report's style sheet: readable from 320 px on, dark and light, printable. */
const COLOURS = 6;

/** Looks of methods: colours first, then the same colours with dashes and hollow dots. */
export const LOOKS = 2 * COLOURS;

const METHODS = Array.from({ length: LOOKS }, (_, i) => {
  const colour = `.m${i}{color:var(--c${i % COLOURS})}`;
  const dashed = `.m${i} .line,.m${i} .whisker{stroke-dasharray:6 3}.m${i} .mean{fill:var(--page);stroke:currentColor;stroke-width:2}`;
  return i < COLOURS ? colour : colour + dashed;
}).join('');

export const STYLE = `
:root{--ink:#1b1f24;--soft:#59636e;--line:#d6dbe1;--page:#fff;--box:#f4f6f8;--bad:#a40e26;
--c0:#0b62c4;--c1:#b35900;--c2:#1a7f37;--c3:#8250df;--c4:#bf3989;--c5:#007a80}
@media (prefers-color-scheme:dark){:root{--ink:#e6eaef;--soft:#9aa4af;--line:#39414a;--page:#14181d;--box:#1d232a;--bad:#ff8f8a;
--c0:#6cb0ff;--c1:#ffab57;--c2:#57cf72;--c3:#c29bff;--c4:#ff8ac8;--c5:#4fd0d6}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:60rem;margin:0 auto;padding:1.5rem 1rem 4rem}
h1{font-size:1.7rem;line-height:1.2;margin:.5rem 0;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:2.2rem 0 .6rem}
h3{font-size:1rem;margin:1.4rem 0 .3rem}
.lede,.note,figcaption{color:var(--soft)}
.note,figcaption{font-size:.875rem}
.verdict{background:var(--box);border-left:4px solid var(--c0);padding:.8rem 1rem;margin:1.2rem 0}
.verdict h2,.failed h2{margin:0 0 .3rem;font-size:1rem}
.verdict p{margin:.25rem 0}.verdict p:first-of-type{font-weight:600;font-size:1.1rem}
.failed{border-left:4px solid var(--bad);background:var(--box);padding:.8rem 1rem}
.failed ul{margin:0;padding-left:1.2rem}
table{border-collapse:collapse;width:100%;font-size:.9375rem;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.4rem .6rem .4rem 0;border-bottom:1px solid var(--line);vertical-align:top}
th{color:var(--soft);font-weight:500;font-size:.875rem}
code,pre,.id{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.875em;overflow-wrap:anywhere}
code{white-space:pre-wrap;background:var(--box);padding:.1em .3em;border-radius:3px;unicode-bidi:isolate}
pre{background:var(--box);padding:.7rem;white-space:pre-wrap}
.id{color:var(--soft)}
.odd{font-style:normal;font-size:.8em;color:var(--bad);border:1px solid currentColor;border-radius:3px;padding:0 .2em;margin:0 .1em}
figure{margin:0 0 1rem;max-width:40rem}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,20rem),1fr));gap:1rem 2rem}
svg{display:block;width:100%;height:auto;overflow:visible}
svg text{font-size:12px;fill:var(--ink)}svg .tick{font-size:11px;fill:var(--soft)}svg .strong{font-weight:600}
svg .grid{stroke:var(--line);stroke-width:1}
.whisker,.line{stroke:currentColor;stroke-width:2;fill:none}.mean{fill:currentColor}.dot{fill:var(--page);stroke:currentColor;stroke-width:1.2}
${METHODS}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;list-style:none;padding:0;margin:.3rem 0 .8rem;font-size:.875rem}
.legend li{display:flex;align-items:center;gap:.4rem}.key{width:30px;flex:none}
dl{font-size:.8125rem}dt{font-weight:600;overflow-wrap:anywhere}dd{margin:0 0 .4rem}
summary{cursor:pointer}
@media (max-width:40rem){
thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
tbody,tr,td{display:block}
tr{border-bottom:1px solid var(--line);padding:.5rem 0}
td{border:0;padding:.1rem 0;display:flex;gap:.8rem}
td::before{content:attr(data-label);color:var(--soft);flex:0 0 7.5rem;font-size:.875rem}
td>span{min-width:0;overflow-wrap:anywhere}}
@media print{main{max-width:none}details{display:block}}
`;
