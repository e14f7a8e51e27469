/** All that is known of one token: its f-gram and where the row came from, its loss, what else might have stood there. */
import { formatCount, formatLoss, formatMs, formatShare } from './format.js';
import { quoted, type ShownToken } from './token.js';

export function TokenDetails({ token }: { readonly token: ShownToken | undefined }) {
  if (token === undefined)
    return <div class="details note">Point at a token, or move to one with the arrow keys, to see what stood in for it.</div>;
  const { text, fgram, loss, lossWithout, alternatives = [] } = token;
  return (
    <div class="details" tabindex={0}>
      <p class="what">{quoted(text)}</p>
      {fgram === undefined ? (
        <p class="note">No f-gram ends here: the model read the token’s own embedding.</p>
      ) : (
        <dl>
          <dt>f-gram</dt>
          <dd class="fgram-text">{quoted(fgram.text)}</dd>
          <dt>length</dt>
          <dd>{fgram.length} tokens</dd>
          <dt>rank</dt>
          <dd>{formatCount(fgram.rank)}</dd>
          <dt>count</dt>
          <dd>{formatCount(fgram.count)}</dd>
          {fgram.tier !== undefined && (
            <>
              <dt>row from</dt>
              <dd>{fgram.tier}</dd>
            </>
          )}
          {fgram.lookUpMs !== undefined && (
            <>
              <dt>look-up</dt>
              <dd>{formatMs(fgram.lookUpMs)}</dd>
            </>
          )}
        </dl>
      )}
      {loss !== undefined && (
        <dl>
          <dt>loss</dt>
          <dd>{formatLoss(loss)} nats</dd>
          {lossWithout !== undefined && (
            <>
              <dt>without f-grams</dt>
              <dd>{formatLoss(lossWithout)} nats</dd>
            </>
          )}
        </dl>
      )}
      {alternatives.length > 0 && (
        <>
          <p class="note">Likeliest here</p>
          <ol class="odds">
            {alternatives.map((other) => (
              <li key={other.text} class={other.text === text ? 'chosen' : undefined}>
                <span>{quoted(other.text)}</span>
                <span class="line-bar" style={{ inlineSize: `${100 * other.probability}%` }} />
                <span class="number">{formatShare(other.probability)}</span>
              </li>
            ))}
          </ol>
        </>
      )}
    </div>
  );
}
