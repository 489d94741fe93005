/** Models that a configuration can name, and whether they are on this machine. */
import { api } from '../api.ts';
import { bytes } from '../format.ts';
import { useLoaded } from '../hooks.ts';
import { Failure, Loading, ModelText } from '../parts/bits.tsx';

export function ModelsPage() {
  const { data, error, isLoading, reload } = useLoaded('models', api.models);
  return (
    <>
      <div className="page-head">
        <h1 tabIndex={-1}>Models</h1>
      </div>
      <p className="lede">
        A configuration names a model as <code>local:NAME</code>. One that is not here yet is
        fetched by <code>whetstone models pull NAME</code>. Files (.gguf), Hugging Face folders and
        APIs serve as well.
      </p>
      <Failure error={error} retry={reload} />
      {isLoading && <Loading what="models" />}
      {data?.items.length === 0 && <p className="muted">None is known.</p>}
      {data && data.items.length > 0 && (
        <table className="stack">
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">On this machine</th>
              <th scope="col">Size</th>
              <th scope="col">Licence</th>
              <th scope="col">About</th>
            </tr>
          </thead>
          <tbody>
            {data.items.map((model) => (
              <tr key={model.name}>
                <th scope="row">
                  <ModelText text={model.name} />
                </th>
                <td>
                  {model.isHere ? (
                    <span className="good-text">
                      <span aria-hidden="true">✓</span> here
                    </span>
                  ) : (
                    <span className="muted">not yet</span>
                  )}
                </td>
                <td data-label="Size">{model.bytes === undefined ? '–' : bytes(model.bytes)}</td>
                <td data-label="Licence">{model.licence ?? '–'}</td>
                <td>{model.about === undefined ? '' : <ModelText text={model.about} />}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}
