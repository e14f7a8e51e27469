/** The inspector: what the served model does, seen token by token. */
import { render } from 'preact';
import { App } from './app.js';
import '../components/theme.css';

render(<App />, document.body);
