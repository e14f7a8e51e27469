/** A published model in the tab: the page of its folder. */
import { render } from 'preact';
import { Shell } from '../components/shell.js';
import '../components/theme.css';
import { App } from './app.js';

render(
  <Shell name="Scone" places={[]}>
    <App />
  </Shell>,
  document.body,
);
