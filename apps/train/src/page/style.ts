/** How our pages look, in light and dark, from 320 pixels on. Every text has a contrast of at least 4.5 to its ground. */
export const STYLE = `
:root{color-scheme:light dark;--paper:#fff;--ink:#1c1917;--muted:#57534e;--rule:#d6d3d1;--n2:#fff3e0;--n3:#ffddb0;--n4:#ffc27a;
--s0:#1d4ed8;--s1:#c2410c;--s2:#15803d;--s3:#a21caf;--s4:#0e7490;--s5:#854d0e;--s6:#57534e}
@media (prefers-color-scheme:dark){:root{--paper:#161412;--ink:#ede9e4;--muted:#b5aea6;--rule:#44403b;--n2:#3a2a14;--n3:#5a3c12;--n4:#7a4d0c;
--s0:#8ab4ff;--s1:#fb9a5c;--s2:#6fd08c;--s3:#e59cf2;--s4:#5fcbe0;--s5:#e3b554;--s6:#b5aea6}}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;margin:0;background:var(--paper);color:var(--ink)}
main{overflow-wrap:anywhere;max-width:62rem;margin:0 auto;padding:1.5rem 1rem 3rem}
h1{font-size:1.75rem;line-height:1.2;margin:.5rem 0 1rem}
h2{font-size:1.3rem;margin:2.5rem 0 .5rem;padding-top:.75rem;border-top:1px solid var(--rule)}
h3{font-size:1.05rem;margin:1.75rem 0 .25rem}
p{max-width:46rem;margin:.5rem 0}
.note,figcaption,caption{color:var(--muted);font-size:.875rem}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(9.5rem,1fr));gap:1rem;margin:1.25rem 0}
dt{color:var(--muted);font-size:.875rem;line-height:1.3}
dd{margin:0;font-size:1.4rem;font-variant-numeric:tabular-nums}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,25rem),1fr));gap:1rem 2rem}
figure{margin:1rem 0 0;max-width:34rem}
figure h3{margin:0}
caption h3{color:var(--ink)}
svg{display:block;width:100%;height:auto;overflow:visible}
svg text{font:11px system-ui,sans-serif;fill:var(--muted)}
svg .grid{stroke:var(--rule)}
.s0{--c:var(--s0)}.s1{--c:var(--s1)}.s2{--c:var(--s2)}.s3{--c:var(--s3)}.s4{--c:var(--s4)}.s5{--c:var(--s5)}.s6{--c:var(--s6)}
svg .line{fill:none;stroke:var(--c);stroke-width:1.75;stroke-linejoin:round}
svg .bar{fill:var(--c)}
.keys{display:flex;flex-wrap:wrap;gap:.1rem 1rem;list-style:none;margin:.25rem 0;padding:0;font-size:.875rem}
.keys svg{display:inline-block;width:1.75rem;height:.6rem;margin-right:.35rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;margin:.5rem 0}
caption{text-align:left;padding:.25rem 0}
th,td{overflow-wrap:normal;padding:.2rem 1rem .2rem 0;border-bottom:1px solid var(--rule);text-align:right;vertical-align:top;font-weight:400}
th:last-child,td:last-child{padding-right:0}
thead th{color:var(--muted);font-size:.875rem}
th:first-child,.classes :is(th,td):nth-child(2){text-align:left}
.scroll{overflow-x:auto}
.classes{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,25rem),1fr));gap:0 2.5rem}
.classes table{width:100%}
.fgram{font:.875rem/1.5 ui-monospace,monospace;overflow-wrap:anywhere;white-space:pre-wrap}
.blank{color:var(--muted)}
details{margin:.25rem 0}
summary{cursor:pointer;font-size:.875rem;color:var(--muted)}
:focus-visible{outline:2px solid var(--s0);outline-offset:2px}
.sample{white-space:pre-wrap}.n2{background:var(--n2)}.n3{background:var(--n3)}.n4{background:var(--n4)}
@media print{details{display:none}}
`;
