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
  if (event.target.closest('[data-all]')) element.querySelector('.grid').classList.add('whole');
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
    document.getElementById('picked')?.dispatchEvent(
      new CustomEvent('picked', {detail: {hit, keyed: event.detail === 0}}));
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
# What was picked lies over the foot of the page. A pick by key takes the focus there; Close and
# Escape give it back to where it came from. A new question shuts it.
SHEET = """
const sheet = element.closest('#picked') ?? document.getElementById('picked');
sheet.tabIndex = -1;
let from = '';  // where the pick came from; the chapter may have been drawn anew since
const shut = () => {
  const back = sheet.contains(document.activeElement) || document.activeElement === document.body;
  delete sheet.dataset.open;
  if (back && from) document.querySelector(from)?.focus();
};
sheet.addEventListener('picked', (event) => {
  const {hit, keyed} = event.detail;
  const shown = element.querySelector('.lookat');
  if (shown && shown.dataset.shown !== hit.dataset.id) shown.ariaBusy = 'true';  // until it comes
  const slot = hit.closest('.slot')?.id;
  from = slot ? `#${slot} [data-id="${CSS.escape(hit.dataset.id)}"]` : from;
  sheet.dataset.open = '';
  const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
  requestAnimationFrame(() => {
    document.documentElement.style.setProperty('--foot', `${sheet.offsetHeight}px`);
    hit.scrollIntoView({block: 'nearest', inline: 'nearest', behavior: calm ? 'auto' : 'smooth'});
    if (keyed) sheet.focus({preventScroll: true});
  });
});
element.addEventListener('click', (event) => {
  const go = event.target.closest('[data-go]')?.dataset.go;
  if (event.target.closest('.shut')) shut();
  if (event.target.closest('[data-event="submit"]')) delete sheet.dataset.open;
  if (!go) return;
  delete sheet.dataset.open;
  const title = document.querySelector(`#${go} h2`);
  title.tabIndex = -1;
  title.focus({preventScroll: true});
  document.getElementById(go).scrollIntoView();
});
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && 'open' in sheet.dataset) shut();
});
watch('value', () => requestAnimationFrame(() => {
  if (!element.querySelector('.lookat')) delete sheet.dataset.open;
}));
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
