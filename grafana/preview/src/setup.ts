// What Grafana sets up at its start, as far as the preview needs it.
import {
  DataTransformerInfo,
  GrafanaConfig,
  TimeRange,
  locationUtil,
  standardTransformers,
  standardTransformersRegistry,
} from '@grafana/data';

const FONTS = [
  ['400', 'Regular'],
  ['500', 'Medium'],
];
const { convertFieldTypeTransformer, mergeTransformer, organizeFieldsTransformer } =
  standardTransformers;

function item(info: DataTransformerInfo) {
  return {
    id: info.id,
    name: info.name,
    transformation: async () => info,
    editor: () => null,
    imageDark: '',
    imageLight: '',
  };
}

/** Registers transformations and addresses. */
export function setUp(range: TimeRange): void {
  standardTransformersRegistry.setInit(() => [
    item(mergeTransformer),
    item(organizeFieldsTransformer),
    item(convertFieldTypeTransformer),
  ]);
  locationUtil.initialize({
    config: { appSubUrl: '' } as GrafanaConfig,
    getVariablesUrlParams: () => ({}),
    getTimeRangeForUrl: () => range.raw,
  });
}

/** Loads the font before anything is drawn: sizes of texts are measured. */
export async function loadFonts(): Promise<void> {
  for (const [weight, file] of FONTS) {
    const font = new FontFace('Inter', `url(/public/fonts/inter/Inter-${file}.woff2)`, { weight });
    document.fonts.add(await font.load());
  }
}
