/** For a server that asks for a key. */

export function KeyForm({ isWrong, onKey }: { readonly isWrong: boolean; readonly onKey: (key: string) => void }) {
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const key = new FormData(event.currentTarget as HTMLFormElement).get('key');
    if (typeof key === 'string' && key !== '') onKey(key);
  };
  return (
    <form onSubmit={submit}>
      <h1>This server asks for a key</h1>
      <p>It stays in this page’s memory: it is gone when the page is closed or loaded again.</p>
      {isWrong && (
        <p class="problem" role="alert">
          That key is not one of the server’s.
        </p>
      )}
      <div class="fields">
        <span class="field">
          <label for="key">Key</label>
          <input id="key" name="key" type="password" autocomplete="off" required />
        </span>
        <button type="submit" class="primary">
          Open
        </button>
      </div>
    </form>
  );
}
