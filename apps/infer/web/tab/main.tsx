/** A published model in the tab. */
import { render } from 'preact';
import { Shell } from '../components/shell.js';
import '../components/theme.css';

render(
  <Shell name="Scone" places={[]}>
    <h1>A model in the tab</h1>
    <p>This page will run a published model where it is read.</p>
  </Shell>,
  document.body,
);
