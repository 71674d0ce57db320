"""What the Search page does in the browser itself."""

# Any element with data-event sends that event, and with it all of its data-*; inside a data-form
# the text of the form's textarea too. A card is picked, says its label on hover, and is marked
# everywhere at once. The threshold dims cards while it is moved. Pictures that stand in several
# lists light up together.
ACTS = """
const drafts = new Map();  // what is being written in a box that a new answer draws anew
const nameOf = (form) => form.querySelector('textarea').ariaLabel;
element.addEventListener('input', (event) => {
  const form = event.target.closest('[data-form]');
  if (form && event.target.type === 'textarea') drafts.set(nameOf(form), event.target.value);
});
watch('value', () => requestAnimationFrame(() => {
  if (element.querySelector('p.empty')) drafts.clear();  // another question
  element.querySelectorAll('[data-form]').forEach((form) => {
    if (!drafts.has(nameOf(form))) return;
    form.open = true;
    form.querySelector('textarea').value = drafts.get(nameOf(form));
  });
}));
element.addEventListener('click', (event) => {
  const hit = event.target.closest('[data-event], .card[data-id]');
  if (!hit || hit.disabled) return;
  const pick = hit.matches('.card') ? {event: 'select', action: 'pick'} : {};
  const told = {...pick, ...hit.dataset};
  if (hit.ariaBusy === 'true') return;  // pressed twice: the first press is on its way
  if (told.event === 'input' || told.action === 'why') {
    hit.ariaBusy = 'true';
    setTimeout(() => { hit.ariaBusy = null; }, 3000);
  }
  const form = hit.closest('[data-form]');
  if (form && told.text === undefined) told.text = form.querySelector('textarea').value;
  if (form) drafts.delete(nameOf(form));
  if (told.action === 'pick') {
    document.querySelectorAll('.card[data-id]').forEach((card) =>
      card.setAttribute('aria-pressed', String(card.dataset.id === hit.dataset.id)));
    const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
    document.getElementById('picked')?.scrollIntoView(
      {block: 'nearest', behavior: calm ? 'auto' : 'smooth'});
  }
  if (told.action === 'word' || told.action === 'trace')
    document.querySelector('#heatmaps .look-maps')?.scrollIntoView({block: 'nearest'});
  trigger(told.event, told);
});
const light = (event, on) => {
  const card = event.target.closest?.('.card[data-id]');
  if (!card) return;
  card.title ||= card.ariaLabel;
  document.querySelectorAll(`.card[data-id="${CSS.escape(card.dataset.id)}"]`)
    .forEach((same) => same.classList.toggle('same', on));
};
for (const [name, on] of [['pointerover', true], ['pointerout', false],
                          ['focusin', true], ['focusout', false]])
  element.addEventListener(name, (event) => light(event, on));
element.addEventListener('input', (event) => {
  if (event.target.type !== 'range') return;
  const value = Number(event.target.value);
  const cards = [...element.querySelectorAll('.card[data-p]')];
  cards.forEach((card) => card.classList.toggle('under', Number(card.dataset.p) < value));
  const over = cards.filter((card) => Number(card.dataset.p) >= value).length;
  event.target.nextElementSibling.textContent = value.toFixed(2);
  element.querySelector('.survive').textContent = `${over} of ${cards.length} at or above`;
});
let moved;  // a key held down moves many times; the last place is told
element.addEventListener('change', (event) => {
  if (event.target.type !== 'range') return;
  clearTimeout(moved);
  moved = setTimeout(() => trigger('release', {value: event.target.value}), 250);
});
element.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
  event.target.closest('[data-form]')?.querySelector('.run')?.click();
});
"""
# The address follows the page, and the page follows the address.
ADDRESS = """
const go = () => {
  const fragment = location.hash.slice(1);
  if (fragment) trigger('select', {fragment});
};
window.addEventListener('popstate', go);
watch('value', () => {
  const fragment = props.value || '';
  if (fragment && '#' + fragment !== location.hash) history.pushState(null, '', '#' + fragment);
});
setTimeout(go, 0);
"""
# Links are copied here; files are made by Python and then fetched.
TAKE = """
element.addEventListener('click', (event) => {
  const hit = event.target.closest('[data-action]');
  const say = (text) => { element.querySelector('.done').textContent = text; };
  if (hit?.dataset.action === 'link') navigator.clipboard?.writeText(location.href)
    .then(() => say('copied'), () => say(location.href));
  else if (hit?.dataset.event === 'like') say('writing…');
});
"""
SAVED = """const done = document.querySelector('#share .done');
  if (done?.textContent === 'writing…') done.textContent = 'saved';"""

# Show where an answer begins: on a phone the chapters stand below the form, and elsewhere the
# reader may have scrolled past it.
TO_THE_STORY = """() => {
  const story = document.getElementById('story');
  if (story && (innerWidth <= 860 || story.getBoundingClientRect().top < 0))
    story.scrollIntoView();
  document.getElementById('ask')?.scrollTo(0, 0);
}"""
