"""What the Benchmark tab does in the browser, where no model is asked."""

# Copies the command.
COPIES = """
element.addEventListener('click', (event) => {
  const hit = event.target.closest('[data-copy]');
  if (!hit) return;
  navigator.clipboard?.writeText(hit.dataset.copy);
  hit.textContent = 'Copied';
  setTimeout(() => { hit.textContent = 'Copy'; }, 1500);
});
"""
# Column heads: pointing or tapping explains, a click sorts; rows without a value stay last. While
# there are columns beyond the right edge, the table fades out there and a line says so.
SORTS = """
const edge = () => {
  const wide = element.querySelector('.wide');
  if (!wide) return;
  const left = wide.scrollWidth - wide.clientWidth - wide.scrollLeft;
  wide.parentElement.toggleAttribute('data-more', left > 2);
};
element.addEventListener('scroll', edge, true);
new ResizeObserver(edge).observe(element);
new MutationObserver(edge).observe(element, {childList: true, subtree: true});
const explain = (event) => {
  const head = event.target.closest('[data-says]');
  const line = element.querySelector('.says');
  if (head && line) line.textContent = head.dataset.says;
};
['mouseover', 'focusin', 'click'].forEach((kind) => element.addEventListener(kind, explain));
element.addEventListener('click', (event) => {
  const button = event.target.closest('th button');
  if (!button) return;
  const head = button.closest('th'), body = element.querySelector('tbody');
  const at = [...head.parentNode.children].indexOf(head);
  const before = head.getAttribute('aria-sort');
  const down = at === 0 ? before === 'ascending' : before !== 'descending';
  head.parentNode.querySelectorAll('th').forEach((th) => th.setAttribute('aria-sort', 'none'));
  head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
  const value = (row) => row.children[at].dataset.v;
  const rows = [...body.rows].sort((a, b) => {
    const x = value(a), y = value(b);
    if (x === '' || y === '') return (x === '') - (y === '');
    const order = at === 0 ? x.localeCompare(y) : Number(x) - Number(y);
    return down ? -order : order;
  });
  body.append(...rows);
});
"""
# Rows: a click picks, and brings what it opens into view; j, k and the arrow
# keys walk, over the ends of a page too, never while someone types, moves a slider or is in
# another tab.
WALKS = """
let soon = 0;  // a key held down asks for the last row only
const mark = (row) => {
  element.querySelectorAll('.qrow').forEach((r) =>
    r.setAttribute('aria-current', String(r === row)));
  const list = element.querySelector('.qlist');
  const top = row.offsetTop - list.offsetTop;
  if (top < list.scrollTop || top + row.offsetHeight > list.scrollTop + list.clientHeight)
    list.scrollTop = top - list.clientHeight / 2;
  const one = document.querySelector('#bench-detail .one');  // of the row before, until it comes
  one?.setAttribute('aria-busy', String(one.dataset.query !== row.dataset.id));
  clearTimeout(soon);
  soon = setTimeout(() => trigger('select', {id: row.dataset.id}), 90);
};
const walk = (step) => {
  const rows = [...element.querySelectorAll('.qrow')];
  if (!rows.length) return;
  const at = rows.findIndex((r) => r.getAttribute('aria-current') === 'true');
  const next = rows[at + step];
  if (next) return mark(next);
  const [before, after] = element.querySelectorAll('.pager button');
  const turn = step > 0 ? after : before;
  if (turn && !turn.disabled)
    trigger('select', {...turn.dataset, end: step < 0 ? 'last' : ''});
};
element.addEventListener('click', (event) => {
  const row = event.target.closest('.qrow');
  if (row) {
    mark(row);
    const area = element.closest('#bench-browser');
    const narrow = innerWidth <= 860, at = narrow ? area?.querySelector('#bench-case') : area;
    if (at && (narrow || at.getBoundingClientRect().top > innerHeight / 3)) at.scrollIntoView();
    return;
  }
  const turn = event.target.closest('.pager button');
  if (turn && !turn.disabled) trigger('select', {...turn.dataset});
});
document.addEventListener('bench-walk', (event) => {
  if (element.isConnected) walk(event.detail);
});
document.addEventListener('keydown', (event) => {
  if (!element.isConnected || !element.offsetParent) return;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const on = event.target, typing = 'input, textarea, select, [contenteditable="true"]';
  if (on.closest(typing)) return;
  const steps = {j: 1, k: -1};
  if (!on.closest('[role="tab"], [role="listbox"], [role="radiogroup"]'))
    Object.assign(steps, {ArrowRight: 1, ArrowLeft: -1});
  if ((element.closest('#bench-browser') ?? element).contains(on))
    Object.assign(steps, {ArrowDown: 1, ArrowUp: -1});
  if (!(event.key in steps)) return;
  event.preventDefault();
  walk(steps[event.key]);
});
"""
STEPS = """
element.addEventListener('click', (event) => {
  const hit = event.target.closest('[data-walk]');
  if (hit) document.dispatchEvent(
    new CustomEvent('bench-walk', {detail: Number(hit.dataset.walk)}));
});
"""
